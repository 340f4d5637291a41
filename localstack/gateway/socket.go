package gateway

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

const (
	// closeGrace is how long a closed connection may take to drink what waits for it
	// and to answer the close frame.
	closeGrace = 2 * time.Second
	// maxInvocations is how many frames of one connection may be in invocations at a
	// time. Beyond it the gateway stops reading, so that no client starts goroutines
	// without end; AWS throttles the account there.
	maxInvocations = 128
)

// socket is one client's connection, from $connect to $disconnect. Three goroutines
// serve it: that of the handshake reads, one writes, one watches the clock.
type socket struct {
	gw          *Gateway
	id          string
	peer        peer
	connectedAt time.Time
	active      atomic.Int64 // when the last message passed, as a duration since connectedAt

	out         *outbox
	ended       chan struct{} // closed when out is
	invocations chan struct{} // a slot for each
}

func newSocket(g *Gateway, r *http.Request) *socket {
	return &socket{
		gw:          g,
		id:          newID(),
		peer:        peerOf(r),
		connectedAt: time.Now(),
		out:         newOutbox(g.opts.Buffer),
		ended:       make(chan struct{}),
		invocations: make(chan struct{}, maxInvocations),
	}
}

// serveSocket serves a client from handshake to $disconnect.
func (g *Gateway) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		writeMessage(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	defer g.running.Done()
	if status := checkHandshake(r); status != 0 {
		writeMessage(w, status, http.StatusText(status))
		return
	}

	s := newSocket(g, r)
	if !g.connect(w, r, s) {
		return
	}
	defer g.disconnect(s)
	if !g.register(s) {
		s.end(goingAway)
		writeMessage(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}

	up := &upgrade{ResponseWriter: w}
	// API Gateway looks at no Origin: that is for $connect to do.
	conn, err := websocket.Accept(up, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.end(abnormal)
		return
	}
	conn.SetReadLimit(-1) // the frameConn has the limits
	s.run(conn, up.conn)
}

// run serves the open connection until it is over.
func (s *socket) run(conn *websocket.Conn, frames *frameConn) {
	over := make(chan struct{})
	go s.watchClock(frames.Conn, over)
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.write(conn, frames.Conn)
	}()

	s.end(s.read(conn, frames))
	<-written
	_ = conn.CloseNow()
	close(over)
}

// end lets nobody post to the connection any more, and closes it when what waits
// for the client has been written. Only the first cause counts.
func (s *socket) end(cause closure) {
	if s.out.close(cause) {
		s.gw.unregister(s)
		close(s.ended)
	}
}

// post queues a message for the client. It fails with errGone or errFull.
func (s *socket) post(message []byte) error {
	if err := s.out.put(message); err != nil {
		return err
	}
	s.touch()
	return nil
}

// touch notes that a message passed.
func (s *socket) touch() {
	s.active.Store(int64(time.Since(s.connectedAt)))
}

func (s *socket) lastActiveAt() time.Time {
	return s.connectedAt.Add(time.Duration(s.active.Load()))
}

// read invokes a function for each message, without waiting for the one before,
// and returns why there are no more.
func (s *socket) read(conn *websocket.Conn, frames *frameConn) closure {
	for {
		_, body, err := conn.Read(context.Background())
		if err != nil {
			return frames.closure(err)
		}
		if !utf8.Valid(body) {
			return notText
		}
		s.touch()
		select {
		case s.invocations <- struct{}{}:
		case <-s.ended:
			return goingAway
		}
		s.gw.running.Go(func() {
			s.gw.message(s, body)
			<-s.invocations
		})
	}
}

// write writes what is put in the outbox, in order, and the close frame after it.
func (s *socket) write(conn *websocket.Conn, raw net.Conn) {
	var batch [][]byte
	for {
		batch = s.out.take(batch)
		if batch == nil {
			break
		}
		for _, message := range batch {
			if err := send(conn, message); err != nil {
				// The reader learns from it that the client is gone.
				_ = raw.Close()
				return
			}
			s.out.written(message)
		}
	}
	if cause := s.out.why(); !cause.remote {
		_ = conn.Close(cause.code, cause.reason)
	}
}

// send writes one text message in frames of at most MaxFrameBytes.
func send(conn *websocket.Conn, message []byte) error {
	ctx := context.Background()
	if len(message) <= MaxFrameBytes {
		return conn.Write(ctx, websocket.MessageText, message)
	}
	w, err := conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for len(message) > 0 {
		n := min(len(message), MaxFrameBytes)
		if _, err := w.Write(message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return w.Close()
}

// watchClock ends the connection when it has been idle or alive for too long, and
// cuts it when it does not close in time.
func (s *socket) watchClock(raw net.Conn, over <-chan struct{}) {
	timer := time.NewTimer(s.remaining())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if left := s.remaining(); left > 0 {
				timer.Reset(left)
			} else {
				s.end(goingAway)
			}
		case <-s.ended:
			timer.Reset(closeGrace)
			select {
			case <-timer.C:
				_ = raw.Close()
			case <-over:
			}
			return
		}
	}
}

// remaining is how long the connection may live if nothing passes any more.
func (s *socket) remaining() time.Duration {
	age := time.Since(s.connectedAt)
	idle := age - time.Duration(s.active.Load())
	return min(s.gw.opts.Lifetime-age, s.gw.opts.Idle-idle)
}
