package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"centrifuge/localstack/gateway"
)

// BenchmarkPost measures a post of 200 bytes with 100 clients: the handler alone,
// and with an HTTP server and client in the same process.
func BenchmarkPost(b *testing.B) {
	const clients = 100
	ids := make(chan string, clients)
	gw := gateway.New(gateway.Options{Buffer: 1 << 30, Routes: map[string]gateway.Function{"$connect": accept(ids)}})
	server := httptest.NewServer(gw)
	defer server.Close()
	defer gw.Close()
	urls := make([]string, clients)
	for i := range urls {
		conn, _, err := websocket.Dial(b.Context(), server.URL+"/dev", nil)
		if err != nil {
			b.Fatal(err)
		}
		go drain(conn)
		urls[i] = server.URL + "/dev/@connections/" + url.PathEscape(<-ids)
	}
	message := []byte(strings.Repeat("x", 200))
	header := http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=y"}}
	var next atomic.Int64
	newRequest := func() *http.Request {
		url := urls[next.Add(1)%clients]
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(message))
		if err != nil {
			b.Fatal(err)
		}
		r.Header = header
		return r
	}

	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		w := &discard{header: make(http.Header)}
		r := newRequest()
		body := bytes.NewReader(message)
		r.Body = io.NopCloser(body)
		for b.Loop() {
			body.Reset(message)
			gw.ServeHTTP(w, r)
			if w.status != http.StatusOK {
				b.Fatal(w.status)
			}
		}
	})
	b.Run("http", func(b *testing.B) {
		b.ReportAllocs()
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		defer client.CloseIdleConnections()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				response, err := client.Do(newRequest())
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Error(response.Status)
					return
				}
			}
		})
	})
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
