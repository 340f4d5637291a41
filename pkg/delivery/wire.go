package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// maxAnswerBytes is how much of one answer is read, head and body together. Those
	// of API Gateway are far smaller; a longer one costs its connection.
	maxAnswerBytes = 64 << 10

	// maxIdle is how long a connection is kept alive without use.
	maxIdle = 30 * time.Second

	// joinedBytes is up to which size a body is copied behind its head, to leave in
	// one write.
	joinedBytes = 8 << 10
)

// wires keeps connections alive to the one host there is. It stands in for
// net/http's transport, which takes each request through three goroutines and so
// uses more CPU than everything else in a post but the signature; see bench.
type wires struct {
	dial func(ctx context.Context) (net.Conn, error)
	base *url.URL

	mu   sync.Mutex
	idle []*wire // the one used last at the end
}

// wire is one HTTP/1.1 connection, and what it needs for its next request. One
// goroutine uses it at a time.
type wire struct {
	conn    net.Conn
	limited io.LimitedReader
	answers *bufio.Reader
	out     []byte
	req     *http.Request // only ever signed, never sent by net/http
	reused  bool
	since   time.Time
}

// newWires connects directly: proxies that the environment names are not used.
func newWires(base *url.URL, concurrency int) *wires {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	address := net.JoinHostPort(base.Hostname(), port)
	dialer := net.Dialer{KeepAlive: 30 * time.Second}
	ws := &wires{base: base}
	if base.Scheme == "https" {
		encrypted := tls.Dialer{NetDialer: &dialer, Config: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(concurrency),
		}}
		ws.dial = func(ctx context.Context) (net.Conn, error) { return encrypted.DialContext(ctx, "tcp", address) }
	} else {
		ws.dial = func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", address) }
	}
	return ws
}

// get returns the connection that was used last, if one is alive, or a new one.
func (ws *wires) get(ctx context.Context, deadline time.Time) (*wire, error) {
	ws.mu.Lock()
	if n := len(ws.idle); n > 0 {
		w := ws.idle[n-1]
		// A Lambda that slept wakes up with connections that the other side has closed
		// long ago. Round(0) leaves the wall clock, which went on meanwhile.
		if time.Now().Round(0).Sub(w.since.Round(0)) < maxIdle {
			ws.idle = ws.idle[:n-1]
			ws.mu.Unlock()
			w.reused = true
			return w, nil
		}
	}
	ws.mu.Unlock()
	ws.closeIdle() // all the others were used even earlier
	return ws.open(ctx, deadline)
}

// open makes a new connection.
func (ws *wires) open(ctx context.Context, deadline time.Time) (*wire, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := ws.dial(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{
		conn:    conn,
		limited: io.LimitedReader{R: conn},
		req: &http.Request{
			URL:    &url.URL{Scheme: ws.base.Scheme, Host: ws.base.Host},
			Header: make(http.Header),
		},
	}
	w.answers = bufio.NewReaderSize(&w.limited, 2<<10)
	return w, nil
}

// put keeps w for the next request.
func (ws *wires) put(w *wire) {
	w.since = time.Now()
	ws.mu.Lock()
	ws.idle = append(ws.idle, w)
	ws.mu.Unlock()
}

// closeIdle closes all connections that are not in use.
func (ws *wires) closeIdle() {
	ws.mu.Lock()
	idle := ws.idle
	ws.idle = nil
	ws.mu.Unlock()
	for _, w := range idle {
		_ = w.conn.Close()
	}
}

// exchange sends w.out, and body unless that is part of it, and reads the answer
// to its end. It returns whether the connection can be used again.
func (w *wire) exchange(body []byte) (a answer, alive bool, err error) {
	w.limited.N = maxAnswerBytes
	if _, err := w.conn.Write(w.out); err != nil {
		return answer{}, false, err
	}
	if len(body) > 0 {
		if _, err := w.conn.Write(body); err != nil {
			return answer{}, false, err
		}
	}
	for {
		res, err := http.ReadResponse(w.answers, nil) //nolint:bodyclose // read to its end below; the connection is not its own
		if err != nil {
			return answer{}, false, err
		}
		if res.StatusCode < http.StatusOK { // an interim answer: the real one follows
			continue
		}
		a := answer{status: res.StatusCode}
		if a.status >= 300 {
			a.kind = kindOf(res.Header)
		}
		if a.status == http.StatusBadRequest {
			a.invalidID = namesInvalidID(a.kind, res.Body)
		}
		alive := !res.Close
		if res.ContentLength != 0 {
			// What was decided stands in the status: a body that breaks off, or is too
			// long, costs the connection and changes nothing else.
			_, err := io.Copy(io.Discard, res.Body)
			alive = alive && err == nil && w.limited.N > 0
		}
		return a, alive && w.answers.Buffered() == 0, nil
	}
}

// silent tells that nothing of an answer was read.
func (w *wire) silent() bool { return w.limited.N == maxAnswerBytes }
