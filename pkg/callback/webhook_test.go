package callback

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

const webhookSecret = "the-secret-of-p"

// newWebhook starts a server that counts its requests, and returns a project with the
// server's address as its webhook_url.
func newWebhook(t *testing.T, h http.HandlerFunc) (p *hub.Project, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		io.Copy(io.Discard, r.Body) // the server detects a closed connection only after the body
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return newWebhookProject(s.URL + "/hook?key=hidden"), requests
}

func newWebhookProject(address string) *hub.Project {
	return &hub.Project{ID: "p", Secret: webhookSecret, Options: hub.ProjectOptions{WebhookURL: address}}
}

// newTestNotifier returns a Notifier with a timeout that no test reaches.
func newTestNotifier() *Notifier {
	return NewNotifier(NotifierOptions{Insecure: true, Timeout: time.Minute, Now: func() time.Time {
		return time.Unix(1795338907, 456e6)
	}})
}

func TestNotifyRequest(t *testing.T) {
	const body = "{\"data\": \"caf\u00e9 <&>\"}\n"
	var got map[string]string
	requests := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = map[string]string{"request": r.Method + " " + r.RequestURI, "body": string(b)}
		for _, name := range []string{"Content-Type", "User-Agent", "Authorization", TimestampHeader, SignatureHeader} {
			got[name] = r.Header.Get(name)
		}
		requests++
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	if err := newTestNotifier().Notify(t.Context(), newWebhookProject(s.URL+"/hook?a=b"), []byte(body)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"request": "POST /hook?a=b", "body": body,
		"Content-Type": "application/json", "User-Agent": "centrifuge", "Authorization": "",
		TimestampHeader: "1795338907",
		// printf '1795338907.{"data": "café <&>"}\n\n' | openssl dgst -sha256 -hmac the-secret-of-p
		SignatureHeader: "sha256=88399b00d0242b924e7d73c34d2e7e8d169549223235b060ef0e31c6565b32df",
	}, got); diff != "" {
		t.Errorf("request, -expected +got:\n%s", diff)
	}
	if requests != 1 {
		t.Errorf("%d requests, expected 1", requests)
	}
}

// TestNotifyPreviousSecret signs with the previous secret of a project as long as there is one.
func TestNotifyPreviousSecret(t *testing.T) {
	var signature, timestamp string
	p, _ := newWebhook(t, func(_ http.ResponseWriter, r *http.Request) {
		signature, timestamp = r.Header.Get(SignatureHeader), r.Header.Get(TimestampHeader)
	})
	for _, test := range []struct{ previous, signs string }{{"", webhookSecret}, {"previous", "previous"}} {
		p.PreviousSecret = test.previous
		if err := newTestNotifier().Notify(t.Context(), p, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if want := "sha256=" + sign(test.signs, timestamp, []byte("{}")); signature != want {
			t.Errorf("previous secret %q: signature %s, want %s", test.previous, signature, want)
		}
	}
}

func TestNotifyStatus(t *testing.T) {
	for code := 200; code < 600; code++ {
		if http.StatusText(code) == "" {
			continue
		}
		p, requests := newWebhook(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			if code != http.StatusNoContent && code != http.StatusNotModified {
				io.WriteString(w, "a body")
			}
		})
		err := newTestNotifier().Notify(t.Context(), p, []byte(`{}`))
		if (err == nil) != (code/100 == 2) {
			t.Errorf("status %d: error %v", code, err)
		}
		if err != nil {
			_, host, _ := strings.Cut(p.Options.WebhookURL, "//")
			host, _, _ = strings.Cut(host, "/")
			if want := "notify webhook of project p at " + host + ": status " + strconv.Itoa(code); err.Error() != want {
				t.Errorf("status %d: error %v, expected %s", code, err, want)
			}
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("status %d: %d requests, expected 1", code, n)
		}
	}
}

func TestNotifyUnreachable(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	plain, requests := newWebhook(t, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		address  string
		insecure bool
		want     string // in the error
	}{
		"connection refused":       {closed.URL, true, "connection refused"},
		"plain http, secure":       {plain.Options.WebhookURL, false, "the address is not https"},
		"loopback address, secure": {strings.Replace(plain.Options.WebhookURL, "http:", "https:", 1), false, errNotPublic.Error()},
		"metadata service, secure": {"https://user:hidden@169.254.169.254/hidden", false, errNotPublic.Error()},
		"ftp":                      {"ftp://user:hidden@example.com/", true, "the address is not https"},
		"no host":                  {"https:///hidden", true, "the address is not https"},
		"malformed address":        {"https://user:hidden@%zz", true, "the address is not https"},
		"server without TLS":       {strings.Replace(plain.Options.WebhookURL, "http://", "https://user:hidden@", 1), true, "the response is not HTTP"},
		"address with a user, connection refused": {strings.Replace(closed.URL, "http://", "http://user:hidden@", 1), true, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			n := NewNotifier(NotifierOptions{Insecure: c.insecure, Timeout: time.Minute})
			err := n.Notify(t.Context(), newWebhookProject(c.address), []byte(`{}`))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, expected %q in it", err, c.want)
			}
			for _, secret := range []string{webhookSecret, "hidden", "user"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %v contains %q", err, secret)
				}
			}
		})
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests, expected 0", n)
	}
}

func TestNotifyWithoutWebhook(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // any request fails
	if err := newTestNotifier().Notify(ctx, &hub.Project{ID: "p", Secret: webhookSecret}, []byte(`{}`)); err != nil {
		t.Error(err)
	}
}

func TestNotifyTimeout(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no response": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"incomplete status line": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 200")
				<-r.Context().Done()
				conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, requests := newWebhook(t, h)
			n := newTestNotifier()
			n.options.Timeout = 50 * time.Millisecond
			err := n.Notify(t.Context(), p, []byte(`{}`))
			if err == nil || !strings.Contains(err.Error(), "no response within the timeout") {
				t.Errorf("error %v, expected a timeout", err)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, expected 1", n)
			}
		})
	}
	t.Run("context cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, _ := newWebhook(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		if err := newTestNotifier().Notify(ctx, p, []byte(`{}`)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, expected %v", err, context.Canceled)
		}
	})
	t.Run("default of 5 s", func(t *testing.T) {
		if d := NewNotifier(NotifierOptions{}).options.Timeout; d != 5*time.Second {
			t.Errorf("timeout %v, expected 5s", d)
		}
	})
}

func TestNotifyEndlessResponse(t *testing.T) {
	closed := make(chan struct{})
	p, _ := newWebhook(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(closed)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	})
	if err := newTestNotifier().Notify(t.Context(), p, []byte(`{}`)); err != nil {
		t.Error(err)
	}
	<-closed
}
