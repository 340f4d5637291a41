package callback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// requested are the permissions that clients request in these tests.
var requested = hub.Permissions{Categories: map[string]hub.Grant{"chat": {Whole: true}, "news": {Channels: []string{"a", "b"}}}}

// application is a server that counts its requests, and a project with the server's
// address as its validate_url.
type application struct {
	project  *hub.Project
	requests atomic.Int64
}

func newApplication(t *testing.T, h http.HandlerFunc) *application {
	t.Helper()
	a := new(application)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests.Add(1)
		io.Copy(io.Discard, r.Body) // the server detects a closed connection only after the body
		h(w, r)
	}))
	t.Cleanup(s.Close)
	a.project = &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL + "/validate?key=hidden"}}
	return a
}

// clock replaces the clock, the timer and the random numbers of a Validator. It records
// the waits and the limits of the random numbers. It is safe for concurrent use.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	waits  []time.Duration
	limits []int64
}

// options returns options with which a wait only moves the clock, and every random
// number is the largest.
func (c *clock) options() Options {
	return Options{
		Insecure: true,
		Timeout:  10 * time.Second, // no test reaches it
		Budget:   25 * time.Second,
		Now: func() time.Time {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.now
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.now = c.now.Add(d)
			c.waits = append(c.waits, d)
			return ctx.Err()
		},
		Rand: func(n int64) int64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.limits = append(c.limits, n)
			return n - 1
		},
	}
}

// advance moves the clock.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func TestValidateGrants(t *testing.T) {
	largest := `"` + strings.Repeat("x", hub.MaxInfoBytes-2) + `"`
	all := requested.Categories
	for name, c := range map[string]struct {
		body      string
		confirmed bool
		want      map[string]hub.Grant
		info      string
	}{
		"empty body":                           {"", false, all, ""},
		"body of white space":                  {"\r\n\t ", false, all, ""},
		"empty object":                         {" {} ", false, all, ""},
		"object with other keys":               {`{"status":"ok"}`, false, all, ""},
		"object with a nested key of its own":  {`{"a":{"a":{"b":1,"B":2}},"b":[{"a":1},{"a":2}]}`, false, all, ""},
		"everything":                           {`{"permissions":{}}`, true, all, ""},
		"everything that was requested":        {`{"permissions":{"chat":[],"news":["a","b"]}}`, true, all, ""},
		"one category":                         {`{"permissions":{"chat":[]}}`, true, map[string]hub.Grant{"chat": {Whole: true}}, ""},
		"channels, one not requested":          {`{"permissions":{"chat":["x"],"news":["b","c"]}}`, true, map[string]hub.Grant{"chat": {Channels: []string{"x"}}, "news": {Channels: []string{"b"}}}, ""},
		"category that was not requested":      {`{"permissions":{"secret":[]}}`, true, map[string]hub.Grant{}, ""},
		"category without channels":            {`{"permissions":{"chat":null}}`, true, map[string]hub.Grant{"chat": {}}, ""},
		"nothing, as the request writes it":    {`{"permissions":{"":null}}`, true, map[string]hub.Grant{}, ""},
		"permissions in another case":          {`{"Permissions":{"chat":[]}}`, true, map[string]hub.Grant{"chat": {Whole: true}}, ""},
		"categories that differ in case alone": {`{"permissions":{"chat":[],"Chat":["x"]}}`, true, map[string]hub.Grant{"chat": {Whole: true}}, ""},
		"info with white space":                {`{"info": {"name": "Ann"}}`, false, all, `{"name":"Ann"}`},
		"info of the limit":                    {`{"info":` + largest + `}`, false, all, largest},
		"info null":                            {`{"info":null}`, false, all, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, status(200, c.body))
			got, err := New(new(clock).options()).Validate(t.Context(), a.project, "2694", requested)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hub.Permissions{Confirmed: c.confirmed, Categories: c.want}, got.Permissions); diff != "" {
				t.Errorf("permissions, -expected +got:\n%s", diff)
			}
			if string(got.Info) != c.info || c.info == "" && got.Info != nil {
				t.Errorf("info %q, expected %q", got.Info, c.info)
			}
			if n := a.requests.Load(); n != 1 {
				t.Errorf("%d requests, expected 1", n)
			}
		})
	}
	if requested.Confirmed {
		t.Error("Validate changed the requested permissions of its caller")
	}
}

func TestValidateRequest(t *testing.T) {
	for name, c := range map[string]struct {
		user      string
		requested hub.Permissions
		body      string
	}{
		"everything":              {"2694", hub.Permissions{Everything: true}, `{"user":"2694","permissions":{}}`},
		"categories and channels": {"Ann <&> Ян", requested, `{"user":"Ann <&> Ян","permissions":{"chat":[],"news":["a","b"]}}`},
		"nothing":                 {"2694", hub.Permissions{}, `{"user":"2694","permissions":{"":null}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = []string{r.Method, r.RequestURI, r.Header.Get("Content-Type"), string(body)}
			}))
			defer s.Close()
			p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL + "/validate?a=b"}}
			if _, err := New(new(clock).options()).Validate(t.Context(), p, c.user, c.requested); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"POST", "/validate?a=b", "application/json", c.body}, got); diff != "" {
				t.Errorf("request, -expected +got:\n%s", diff)
			}
		})
	}
}

func TestValidate403(t *testing.T) {
	a := newApplication(t, status(403, strings.Repeat("no", 1<<20)))
	_, err := New(new(clock).options()).Validate(t.Context(), a.project, "2694", requested)
	if !errors.Is(err, hub.ErrPermissionDenied) {
		t.Errorf("error %v, expected %v", err, hub.ErrPermissionDenied)
	}
	if n := a.requests.Load(); n != 1 {
		t.Errorf("%d requests, expected 1", n)
	}
}

// TestFailedAttempts checks that invalid responses are failed attempts, and that no part
// of them is logged.
func TestFailedAttempts(t *testing.T) {
	const private = "the-response-is-private"
	for name, h := range map[string]http.HandlerFunc{
		"500":                         status(500, private),
		"404":                         status(404, private),
		"401":                         status(401, private),
		"204":                         status(204, ""),
		"201 with a body":             status(201, `{}`),
		"redirect without an address": status(302, private),
		"body of 10 MB": func(w http.ResponseWriter, _ *http.Request) {
			for range 160 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
					return
				}
			}
		},
		"body of 10 MB without an end": func(w http.ResponseWriter, r *http.Request) {
			w.Write(bytes.Repeat([]byte(" "), 10<<20))
			<-r.Context().Done()
		},
		"headers of 1 MB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat(private, 1<<16))
		},
		"page with status 200": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html><title>"+private+"</title>")
		},
		"page in JSON's type":                  status(200, "<!doctype html><title>"+private+"</title>"),
		"ok, as in 2013":                       status(200, "ok"),
		"false":                                status(200, "false"),
		"true":                                 status(200, "true"),
		"null":                                 status(200, "null"),
		"number":                               status(200, "1"),
		"string":                               status(200, `"`+private+`"`),
		"list":                                 status(200, "[]"),
		"list of an object":                    status(200, `[{"permissions":{}}]`),
		"incomplete object":                    status(200, `{"permissions":{"chat":["`+private),
		"two objects":                          status(200, `{}{}`),
		"object with single quotes":            status(200, `{'permissions': {'`+private+`': []}}`),
		"object that is not UTF-8":             status(200, "{\"info\":\"\xff\"}"),
		"byte order mark":                      status(200, "\ufeff"+`{"permissions":{"chat":[]}}`),
		"half of a surrogate pair":             status(200, `{"permissions":{"chat":["\ud800"]}}`),
		"byte order mark twice":                status(200, "\ufeff\ufeff{}"),
		"key twice":                            status(200, `{"status":1,"status":2}`),
		"permissions twice":                    status(200, `{"permissions":{"chat":[]},"permissions":{}}`),
		"permissions twice, one in capitals":   status(200, `{"permissions":{"chat":[]},"PERMISSIONS":{}}`),
		"permissions twice, one with a long s": status(200, `{"permissions":{"chat":[]},"permi\u017Fsions":{}}`),
		"key twice in info":                    status(200, `{"info":{"a":[{"b":1,"b":2}]}}`),
		"permissions null":                     status(200, `{"permissions":null}`),
		"permissions: a list":                  status(200, `{"permissions":[]}`),
		"permissions: true":                    status(200, `{"permissions":true}`),
		"permissions: a string":                status(200, `{"permissions":"{}"}`),
		"permissions: a category twice":        status(200, `{"permissions":{"chat":["a"],"chat":[]}}`),
		"permissions: a category twice, one escaped": status(200, `{"permissions":{"chat":["a"],"\u0063hat":[]}}`),
		"permissions: a category of a string":        status(200, `{"permissions":{"chat":"all"}}`),
		"permissions: a category of an object":       status(200, `{"permissions":{"chat":{}}}`),
		"permissions: a channel that is a number":    status(200, `{"permissions":{"chat":["a",1]}}`),
		"permissions: a channel null":                status(200, `{"permissions":{"chat":[null]}}`),
		"info over the limit":                        status(200, `{"info":"`+strings.Repeat("x", hub.MaxInfoBytes)+`"}`),
		"compressed response":                        func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") },
		"closed connection":                          func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"incomplete body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.Write([]byte("{}"))
		},
		"response that is not HTTP": hijack(private + "\r\n\r\n"),
		"malformed header":          hijack("HTTP/1.1 200 OK\r\n" + private + "\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, h)
			a.project.Options.AuthAttempts = 3
			var log bytes.Buffer
			c := new(clock)
			o := c.options()
			o.Log = slog.New(slog.NewJSONHandler(&log, nil))
			expectFailure(t, New(o), a.project)
			if n := a.requests.Load(); n != 3 {
				t.Errorf("%d requests, expected 3", n)
			}
			if n := strings.Count(log.String(), `"msg":"validate_url failed","project":"p"`); n != 3 {
				t.Errorf("%d failures in the log, expected 3: %s", n, &log)
			}
			if n := strings.Count(log.String(), `"error":"`); n != 3 {
				t.Errorf("%d errors in the log, expected 3: %s", n, &log)
			}
			for _, s := range []string{private, "hidden"} {
				if strings.Contains(log.String(), s) {
					t.Errorf("the log contains %q: %s", s, &log)
				}
			}
		})
	}
}

// hijack sends a response of any bytes and closes the connection.
func hijack(response string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, response)
		conn.Close()
	}
}

// expectFailure validates a user and expects hub.ErrValidation without a detail.
func expectFailure(t *testing.T, v *Validator, p *hub.Project) {
	t.Helper()
	got, err := v.Validate(t.Context(), p, "2694", requested)
	if !errors.Is(err, hub.ErrValidation) || err.Error() != hub.ErrValidation.Message {
		t.Errorf("error %v, expected %v", err, hub.ErrValidation)
	}
	if diff := cmp.Diff(hub.Permissions{}, got.Permissions); diff != "" || got.Info != nil {
		t.Errorf("info %q; permissions, -expected +got:\n%s", got.Info, diff)
	}
}

func TestValidateTimeout(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no response": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"body without an end": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, h)
			a.project.Options.AuthAttempts = 2
			var log bytes.Buffer
			o := new(clock).options()
			o.Timeout = 100 * time.Millisecond
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			expectFailure(t, New(o), a.project)
			if n := strings.Count(log.String(), "no response within the timeout"); n != 2 {
				t.Errorf("%d timeouts in the log, expected 2: %s", n, &log)
			}
		})
	}
}

func TestValidateRedirect(t *testing.T) {
	target := newApplication(t, status(200, ""))
	for _, code := range []int{301, 302, 303, 307, 308} {
		a := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.project.Options.ValidateURL, code)
		})
		expectFailure(t, New(new(clock).options()), a.project)
		if n := a.requests.Load(); n != ValidateAttempts {
			t.Errorf("status %d: %d requests, expected %d", code, n, ValidateAttempts)
		}
	}
	if n := target.requests.Load(); n != 0 {
		t.Errorf("%d requests to the target, expected 0", n)
	}
}

func TestValidateConnectionRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL}}
	s.Close()
	c := new(clock)
	expectFailure(t, New(c.options()), p)
	if len(c.waits) != ValidateAttempts {
		t.Errorf("%d attempts, expected %d", len(c.waits), ValidateAttempts)
	}
}

func TestValidateCancelled(t *testing.T) {
	t.Run("during a request", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := newApplication(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, err := New(new(clock).options()).Validate(ctx, a.project, "2694", requested)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, expected %v", err, context.Canceled)
		}
	})
	t.Run("during a wait of the real timer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := newApplication(t, status(500, ""))
		a.project.Options.BackOffInterval = hub.Duration(time.Second)
		first := true
		_, err := New(Options{Insecure: true, Rand: func(n int64) int64 {
			if !first {
				cancel()
			}
			first = false
			return n - 1
		}}).Validate(ctx, a.project, "2694", requested)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, expected %v", err, context.Canceled)
		}
		if n := a.requests.Load(); n != 1 {
			t.Errorf("%d requests, expected 1", n)
		}
	})
}

func TestConnectionReuse(t *testing.T) {
	var mu sync.Mutex
	addresses := make(map[string]bool)
	requests := 0
	a := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		addresses[r.RemoteAddr] = true
		status([]int{500, 200, 403}[requests%3], "{}")(w, r)
		requests++
	})
	v := New(new(clock).options())
	for _, want := range []error{nil, hub.ErrPermissionDenied, nil} {
		if _, err := v.Validate(t.Context(), a.project, "2694", requested); !errors.Is(err, want) {
			t.Errorf("error %v, expected %v", err, want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if requests != 5 || len(addresses) != 1 {
		t.Errorf("%d requests over %d connections, expected 5 over 1", requests, len(addresses))
	}
}
