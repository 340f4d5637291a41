package callback

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// FetchTimeout limits a request of Fetcher, including the time to connect.
const FetchTimeout = 2 * time.Second

// Fetcher returns a function that makes a GET of an address in the options of a project, and
// returns the body. It is safe for concurrent use, and a process needs one. It makes one attempt,
// within FetchTimeout. It fails for everything but a status of 200 with a body that is complete,
// not compressed and of at most 64 KB; redirects are not followed. Unless insecure, which is
// UNSAFE and for the local stack only, it fails for an address that is not https or not public.
// The error can be logged: it contains neither the path and query of the address nor any part
// of the response.
func Fetcher(insecure bool) func(ctx context.Context, address string) ([]byte, error) {
	// Most processes fetch nothing.
	client := sync.OnceValue(func() *http.Client { return newClient(insecure, FetchTimeout) })
	return func(ctx context.Context, address string) ([]byte, error) {
		u, err := parseAddress(address, insecure)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, errors.New("the request cannot be created")
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", "centrifuge")
		resp, err := client().Do(req)
		if err != nil {
			return nil, redact(err)
		}
		return read(resp)
	}
}
