package process

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
)

// ErrPortTaken means that another process listens on the port.
var ErrPortTaken = errors.New("port is in use")

// maxPortAttempts is how many ports OnFreePort tries.
const maxPortAttempts = 10

// OnFreePort calls start with a free port of 127.0.0.1. When start fails with
// ErrPortTaken it tries another port, a few times. It is for programs that cannot
// choose a port themselves, or do not print the one that they chose.
func OnFreePort[T any](ctx context.Context, start func(port int) (T, error)) (v T, err error) {
	for range maxPortAttempts {
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

// PortError is ErrPortTaken when the process exited because its port was taken,
// otherwise Err. It waits for Done.
func (p *Process) PortError() error {
	if err := p.Err(); !strings.Contains(p.Output(), "in use") {
		return err
	}
	return ErrPortTaken
}

// Get requests a URL and returns the status of the answer.
func Get(ctx context.Context, url string) (status int, err error) {
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
