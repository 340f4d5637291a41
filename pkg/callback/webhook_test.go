package callback

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

const webhookSecret = "the-secret-of-p"

// newWebhook is a server that counts what is posted to it, and a project that names it.
func newWebhook(t *testing.T, h http.HandlerFunc) (p *hub.Project, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body) // lets the server notice when the client goes away
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return webhookOf(s.URL + "/hook?key=hidden"), asked
}

func webhookOf(address string) *hub.Project {
	return &hub.Project{ID: "p", Secret: webhookSecret, Options: hub.ProjectOptions{WebhookURL: address}}
}

// newTestNotifier makes one whose timeout is never meant to pass.
func newTestNotifier() *Notifier {
	return NewNotifier(NotifierOptions{Insecure: true, Timeout: time.Minute, Now: func() time.Time {
		return time.Unix(1795338907, 456e6)
	}})
}

func TestAWebhookIsPostedOnceAndSigned(t *testing.T) {
	const body = "{\"data\": \"caf\u00e9 <&>\"}\n"
	var got map[string]string
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = map[string]string{"line": r.Method + " " + r.RequestURI, "body": string(b)}
		for _, name := range []string{"Content-Type", "User-Agent", "Authorization", TimestampHeader, SignatureHeader} {
			got[name] = r.Header.Get(name)
		}
		asked++
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	if err := newTestNotifier().Notify(t.Context(), webhookOf(s.URL+"/hook?a=b"), []byte(body)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{
		"line": "POST /hook?a=b", "body": body,
		"Content-Type": "application/json", "User-Agent": "centrifuge", "Authorization": "",
		TimestampHeader: "1795338907",
		// printf '1795338907.{"data": "café <&>"}\n\n' | openssl dgst -sha256 -hmac the-secret-of-p
		SignatureHeader: "sha256=88399b00d0242b924e7d73c34d2e7e8d169549223235b060ef0e31c6565b32df",
	}, got); d != "" {
		t.Error(d)
	}
	if asked != 1 {
		t.Errorf("posted %d times", asked)
	}
}

func TestWebhookStatuses(t *testing.T) {
	for code := 200; code < 600; code++ {
		if http.StatusText(code) == "" {
			continue
		}
		p, asked := newWebhook(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			if code != http.StatusNoContent && code != http.StatusNotModified {
				io.WriteString(w, "something of the application's own")
			}
		})
		err := newTestNotifier().Notify(t.Context(), p, []byte(`{}`))
		if (err == nil) != (code/100 == 2) {
			t.Errorf("status %d: %v", code, err)
		}
		if err != nil {
			_, host, _ := strings.Cut(p.Options.WebhookURL, "//")
			host, _, _ = strings.Cut(host, "/")
			want := "notify webhook of project p at " + host + ": status "
			if rest, ok := strings.CutPrefix(err.Error(), want); !ok || len(rest) != 3 || strings.Trim(rest, "0123456789") != "" {
				t.Errorf("status %d: %v", code, err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("status %d: posted %d times", code, n)
		}
	}
}

func TestWebhooksThatCannotBeReached(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	plain, reached := newWebhook(t, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		address  string
		insecure bool
		cause    string
	}{
		"nobody listens":                           {closed.URL, true, "connection refused"},
		"plain http, in secure mode":               {plain.Options.WebhookURL, false, "not an https address"},
		"this machine, in secure mode":             {strings.Replace(plain.Options.WebhookURL, "http:", "https:", 1), false, errNotPublic.Error()},
		"the metadata service, in secure mode":     {"https://user:hidden@169.254.169.254/hidden", false, errNotPublic.Error()},
		"another scheme":                           {"ftp://user:hidden@example.com/", true, "not an https address"},
		"no host":                                  {"https:///hidden", true, "not an https address"},
		"no address":                               {"https://user:hidden@%zz", true, "not an https address"},
		"a server that does not speak TLS":         {strings.Replace(plain.Options.WebhookURL, "http://", "https://user:hidden@", 1), true, "not HTTP"},
		"a user in the address stays out of error": {strings.Replace(closed.URL, "http://", "http://user:hidden@", 1), true, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			n := NewNotifier(NotifierOptions{Insecure: c.insecure, Timeout: time.Minute})
			err := n.Notify(t.Context(), webhookOf(c.address), []byte(`{}`))
			if err == nil || !strings.Contains(err.Error(), c.cause) {
				t.Fatalf("error is %v", err)
			}
			for _, secret := range []string{webhookSecret, "hidden", "user"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q is in the error: %v", secret, err)
				}
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("reached %d times", n)
	}
}

func TestAProjectWithoutAWebhookIsNotTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // anything that is tried fails
	if err := newTestNotifier().Notify(ctx, &hub.Project{ID: "p", Secret: webhookSecret}, []byte(`{}`)); err != nil {
		t.Error(err)
	}
}

func TestWebhooksThatAreTooSlow(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"half a header": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 200")
				<-r.Context().Done()
				conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, asked := newWebhook(t, h)
			n := newTestNotifier()
			n.options.Timeout = 50 * time.Millisecond
			err := n.Notify(t.Context(), p, []byte(`{}`))
			if err == nil || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("error is %v", err)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("posted %d times", n)
			}
		})
	}
	t.Run("a caller that goes", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, _ := newWebhook(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		if err := newTestNotifier().Notify(ctx, p, []byte(`{}`)); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("the default is five seconds", func(t *testing.T) {
		if d := NewNotifier(NotifierOptions{}).options.Timeout; d != 5*time.Second {
			t.Errorf("it is %v", d)
		}
	})
}

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	gone := make(chan struct{})
	p, _ := newWebhook(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	})
	if err := newTestNotifier().Notify(t.Context(), p, []byte(`{}`)); err != nil {
		t.Error(err)
	}
	<-gone
}
