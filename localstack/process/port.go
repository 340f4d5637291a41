package process

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
)

// ErrPortTaken means that another process was quicker to listen on the port.
var ErrPortTaken = errors.New("port is in use")

// attempts is how often another port is tried when one was taken between being
// found free and being listened on.
const attempts = 10

// OnFreePort calls start with a port of 127.0.0.1 that nobody listens on, and again
// with another while start fails with ErrPortTaken, a few times. It is for programs
// that cannot choose a port themselves, or do not tell which one it was.
func OnFreePort[T any](ctx context.Context, start func(port int) (T, error)) (v T, err error) {
	for range attempts {
		var port int
		if port, err = freePort(ctx); err != nil {
			return v, err
		}
		if v, err = start(port); !errors.Is(err, ErrPortTaken) {
			return v, err
		}
	}
	return v, err
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// PortError returns ErrPortTaken where the process, which must be Done, ended for
// that, otherwise Err.
func (p *Process) PortError() error {
	if err := p.Err(); !strings.Contains(p.Output(), "in use") {
		return err
	}
	return ErrPortTaken
}

// Ask returns the status with which an HTTP server answers a GET of the URL.
func Ask(ctx context.Context, url string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
