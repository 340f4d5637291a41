package callback

import (
	"bytes"
	"context"
	"encoding/json"
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

// wish is what clients ask for here.
var wish = hub.Permissions{Categories: map[string]hub.Grant{"chat": {Whole: true}, "news": {Channels: []string{"a", "b"}}}}

// confirmed is the wish, granted whole.
func confirmed() hub.Permissions {
	p := wish
	p.Confirmed = true
	return p
}

// application is a server at whose address a project has its validate_url. It
// counts the questions.
type application struct {
	project *hub.Project
	asked   atomic.Int64
}

func newApplication(t *testing.T, h http.HandlerFunc) *application {
	t.Helper()
	a := new(application)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		io.Copy(io.Discard, r.Body) // lets the server notice when the client goes away
		h(w, r)
	}))
	t.Cleanup(s.Close)
	a.project = &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL + "/validate?key=hidden"}}
	return a
}

// clock is time and chance under the control of a test. It is safe for concurrent
// use.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
	drawn []int64
}

// options make waits pass at once, on the clock only, and chance draw the longest.
func (c *clock) options() Options {
	return Options{
		Insecure: true,
		Timeout:  10 * time.Second, // never meant to pass
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
			c.drawn = append(c.drawn, n)
			return n - 1
		},
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func TestYes(t *testing.T) {
	granted := func(categories map[string]hub.Grant) hub.Answer {
		return hub.Answer{Permissions: hub.Permissions{Confirmed: true, Categories: categories}}
	}
	largest := `"` + strings.Repeat("x", hub.MaxInfoBytes-2) + `"`
	for name, c := range map[string]struct {
		body string
		want hub.Answer
	}{
		"no body grants the wish":                  {"", hub.Answer{Permissions: confirmed()}},
		"ok grants the wish, as in 2013":           {"ok", hub.Answer{Permissions: confirmed()}},
		"a list grants the wish":                   {"[]", hub.Answer{Permissions: confirmed()}},
		"an empty object grants the wish":          {" {} ", hub.Answer{Permissions: confirmed()}},
		"an object about other things does so too": {`{"status":"ok"}`, hub.Answer{Permissions: confirmed()}},
		"everything cannot widen the wish":         {`{"permissions":{}}`, hub.Answer{Permissions: confirmed()}},
		"a category fewer":                         {`{"permissions":{"chat":[]}}`, granted(map[string]hub.Grant{"chat": {Whole: true}})},
		"channels fewer, and one never wished for": {`{"permissions":{"chat":["x"],"news":["b","c"]}}`, granted(map[string]hub.Grant{"chat": {Channels: []string{"x"}}, "news": {Channels: []string{"b"}}})},
		"only what was never wished for":           {`{"permissions":{"secret":[]}}`, granted(map[string]hub.Grant{})},
		"a value that is no list grants nothing":   {`{"permissions":{"chat":"all"}}`, granted(map[string]hub.Grant{"chat": {}})},
		"a byte order mark does not hide it":       {"\ufeff" + `{"permissions":{"chat":[]}}`, granted(map[string]hub.Grant{"chat": {Whole: true}})},
		"another case narrows as well":             {`{"Permissions":{"chat":[]}}`, granted(map[string]hub.Grant{"chat": {Whole: true}})},
		"info is attached, compacted":              {`{"info": {"name": "Ann"}}`, hub.Answer{Permissions: confirmed(), Info: json.RawMessage(`{"name":"Ann"}`)}},
		"info of exactly the limit":                {`{"info":` + largest + `}`, hub.Answer{Permissions: confirmed(), Info: json.RawMessage(largest)}},
		"info null is none":                        {`{"info":null}`, hub.Answer{Permissions: confirmed()}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, status(200, c.body))
			got, err := New(new(clock).options()).Validate(t.Context(), a.project, "2694", wish)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if n := a.asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
	if wish.Confirmed {
		t.Error("the wish of the caller was changed")
	}
}

func TestQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		user string
		wish hub.Permissions
		body string
	}{
		"everything":              {"2694", hub.Permissions{Everything: true}, `{"user":"2694","permissions":{}}`},
		"categories and channels": {"Ann <&> Ян", wish, `{"user":"Ann <&> Ян","permissions":{"chat":[],"news":["a","b"]}}`},
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
			if _, err := New(new(clock).options()).Validate(t.Context(), p, c.user, c.wish); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"POST", "/validate?a=b", "application/json", c.body}, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNoIsFinal(t *testing.T) {
	a := newApplication(t, status(403, strings.Repeat("no", 1<<20)))
	_, err := New(new(clock).options()).Validate(t.Context(), a.project, "2694", wish)
	if !errors.Is(err, hub.ErrPermissionDenied) {
		t.Errorf("error is %v", err)
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// Everything that is neither yes nor no is asked again until the attempts run out.
func TestNoAnswer(t *testing.T) {
	const private = "the-answer-is-private"
	for name, h := range map[string]http.HandlerFunc{
		"500":                           status(500, private),
		"404":                           status(404, private),
		"401":                           status(401, private),
		"204":                           status(204, ""),
		"201 with a body":               status(201, `{}`),
		"a redirect without an address": status(302, private),
		"10 MB": func(w http.ResponseWriter, _ *http.Request) {
			for range 160 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
					return
				}
			}
		},
		"10 MB that never end": func(w http.ResponseWriter, r *http.Request) {
			w.Write(bytes.Repeat([]byte(" "), 10<<20))
			<-r.Context().Done()
		},
		"headers of 1 MB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat(private, 1<<16))
		},
		"an object that ends early":     status(200, `{"permissions":{"chat":["`+private),
		"an object with single quotes":  status(200, `{'permissions': {'`+private+`': []}}`),
		"an object that is not UTF-8":   status(200, "{\"info\":\"\xff\"}"),
		"permissions that are null":     status(200, `{"permissions":null}`),
		"permissions that are a list":   status(200, `{"permissions":[]}`),
		"permissions that are true":     status(200, `{"permissions":true}`),
		"permissions, a category twice": status(200, `{"permissions":{"chat":["a"],"chat":[]}}`),
		"info over the limit":           status(200, `{"info":"`+strings.Repeat("x", hub.MaxInfoBytes)+`"}`),
		"a compressed answer":           func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") },
		"a connection that breaks":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a body that breaks": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.Write([]byte("ok"))
		},
		"an answer that is not HTTP":      hijack(private + "\r\n\r\n"),
		"an answer with a mangled header": hijack("HTTP/1.1 200 OK\r\n" + private + "\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, h)
			a.project.Options.AuthAttempts = 3
			var log bytes.Buffer
			c := new(clock)
			o := c.options()
			o.Log = slog.New(slog.NewJSONHandler(&log, nil))
			got, err := New(o).Validate(t.Context(), a.project, "2694", wish)
			expectNoAnswer(t, got, err)
			if n := a.asked.Load(); n != 3 {
				t.Errorf("asked %d times, not 3", n)
			}
			if n := strings.Count(log.String(), `"cause"`); n != 3 {
				t.Errorf("%d causes are logged, not 3: %s", n, &log)
			}
			for _, s := range []string{private, "hidden"} {
				if strings.Contains(log.String(), s) {
					t.Errorf("the log gives away %q: %s", s, &log)
				}
			}
		})
	}
}

// hijack answers with these bytes and closes the connection.
func hijack(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, answer)
		conn.Close()
	}
}

func expectNoAnswer(t *testing.T, got hub.Answer, err error) {
	t.Helper()
	var e *hub.Error
	if !errors.As(err, &e) || !errors.Is(err, hub.ErrValidation) || e.Detail != "" {
		t.Errorf("error is %#v", err)
	}
	if d := cmp.Diff(hub.Answer{}, got); d != "" {
		t.Error("no answer, yet granted: " + d)
	}
}

func TestTooSlow(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a body that never ends": func(w http.ResponseWriter, r *http.Request) {
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
			got, err := New(o).Validate(t.Context(), a.project, "2694", wish)
			expectNoAnswer(t, got, err)
			if n := strings.Count(log.String(), "no answer in time"); n != 2 {
				t.Errorf("the log does not name the cause twice: %s", &log)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	target := newApplication(t, status(200, ""))
	for _, code := range []int{301, 302, 303, 307, 308} {
		a := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.project.Options.ValidateURL, code)
		})
		got, err := New(new(clock).options()).Validate(t.Context(), a.project, "2694", wish)
		expectNoAnswer(t, got, err)
		if n := a.asked.Load(); n != DefaultAttempts {
			t.Errorf("%d: asked %d times", code, n)
		}
	}
	if n := target.asked.Load(); n != 0 {
		t.Errorf("the target was asked %d times", n)
	}
}

func TestConnectionRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL}}
	s.Close()
	c := new(clock)
	got, err := New(c.options()).Validate(t.Context(), p, "2694", wish)
	expectNoAnswer(t, got, err)
	if len(c.waits) != DefaultAttempts {
		t.Errorf("%d attempts", len(c.waits))
	}
}

func TestEndOfTheCaller(t *testing.T) {
	t.Run("while asking", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := newApplication(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		v := New(new(clock).options())
		_, err := v.Validate(ctx, a.project, "2694", wish)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		if n := v.failing.count("p"); n != 0 {
			t.Errorf("the application is blamed %d times", n)
		}
	})
	t.Run("while really waiting", func(t *testing.T) {
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
		}}).Validate(ctx, a.project, "2694", wish)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		if n := a.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestConnectionIsKept(t *testing.T) {
	var mu sync.Mutex
	from := make(map[string]int)
	asked := 0
	a := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr]++
		status([]int{500, 200, 403}[asked%3], "something")(w, r)
		asked++
	})
	v := New(new(clock).options())
	for _, want := range []error{nil, hub.ErrPermissionDenied, nil} {
		if _, err := v.Validate(t.Context(), a.project, "2694", wish); !errors.Is(err, want) {
			t.Errorf("error is %v, not %v", err, want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if asked != 5 || len(from) != 1 {
		t.Errorf("%d questions came over %d connections", asked, len(from))
	}
}
