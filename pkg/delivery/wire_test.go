package delivery

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// answering is a connection that accepts every request and has one answer.
type answering struct {
	net.Conn
	io.Reader
}

func (a answering) Read(b []byte) (int, error)  { return a.Reader.Read(b) }
func (a answering) Write(b []byte) (int, error) { return len(b), nil }

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n",
		"HTTP/1.1 410 Gone\r\nX-Amzn-Errortype: GoneException\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 400 Bad Request\r\nContent-Length: 36\r\n\r\n{\"message\":\"Invalid connectionId: x\"}",
		"HTTP/1.1 400 Bad Request\r\nContent-Length: 99\r\n\r\n{\"message\"",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 -1 x\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		w := &wire{conn: answering{Reader: strings.NewReader(stream)}}
		w.limited.R = w.conn
		w.answers = bufio.NewReader(&w.limited)
		got, alive, err := w.exchange(nil)
		switch {
		case err != nil && (alive || got != answer{}):
			t.Errorf("error %v with %+v, alive %v", err, got, alive)
		case err == nil && got.status < 200:
			t.Errorf("status %d is not a final answer", got.status)
		case alive && w.answers.Buffered() > 0:
			t.Errorf("%d bytes remain before the next answer", w.answers.Buffered())
		case len(got.kind) > 64:
			t.Errorf("error type of %d bytes", len(got.kind))
		case got.invalidID && got.status != 400:
			t.Errorf("status %d names an invalid connection id", got.status)
		}
	})
}
