package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"centrifuge/pkg/hub"
)

const (
	testSecret = "wJalrXUtnFEMI"
	testToken  = "FwoGZXIvYXdzEXAMPLE"
)

// management is a management API on a real socket.
type management struct {
	*httptest.Server
	dials atomic.Int64  // connections that clients opened
	kept  chan net.Conn // connections that a test took from the server
}

func newManagement(t *testing.T, handler http.HandlerFunc) *management {
	t.Helper()
	m := &management{Server: httptest.NewUnstartedServer(handler)}
	m.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			m.dials.Add(1)
		}
	}
	m.Config.ErrorLog = log.New(io.Discard, "", 0)
	m.Start()
	t.Cleanup(m.Close)
	return m
}

// connectionOf is the connection that a request is for.
func connectionOf(r *http.Request) string {
	return strings.TrimPrefix(r.URL.Path, "/prod/@connections/")
}

// newPoster makes a poster that does not wait between attempts, unless o says so.
func (m *management) newPoster(t *testing.T, o PosterOptions) *Poster {
	t.Helper()
	o.URL, o.Region = m.URL+"/prod", "eu-west-1"
	o.Credentials = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", testSecret, testToken)
	if o.Wait == nil {
		o.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute // so that a busy machine fails no test
	}
	p, err := NewPoster(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPostAnswers(t *testing.T) {
	always := func(status int) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	once := func(status int) func(int, http.ResponseWriter, *http.Request) {
		return func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.WriteHeader(status)
			}
		}
	}
	reset := func(_ int, w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	raw := func(answer string) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}
		}
	}
	badRequest := func(kind, body string) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", kind)
			http.Error(w, body, http.StatusBadRequest)
		}
	}
	tests := []struct {
		name     string
		answer   func(attempt int, w http.ResponseWriter, r *http.Request)
		timeout  time.Duration
		is       error  // the error, for errors.Is
		says     string // part of the error's text
		attempts int
	}{
		{name: "200", answer: always(200), attempts: 1},
		{name: "204", answer: always(204), attempts: 1},
		{name: "410", answer: always(410), is: ErrGone, attempts: 1},
		{name: "429 once", answer: once(429), attempts: 2},
		{name: "429 always", answer: always(429), is: ErrSlow, attempts: 4},
		{name: "500 once", answer: once(500), attempts: 2},
		{name: "500 always", answer: always(500), says: "answered 500 Internal Server Error", attempts: 4},
		{name: "503 once", answer: once(503), attempts: 2},
		{name: "408 once", answer: once(408), attempts: 2},
		{name: "408 always", answer: always(408), says: "answered 408 Request Timeout", attempts: 4},
		{name: "413", answer: always(413), is: hub.ErrTooLarge, attempts: 1},
		{name: "400", answer: always(400), says: "answered 400 Bad Request", attempts: 1},
		{name: "400 with an invalid connection id", answer: badRequest("BadRequestException", `{"message":"Invalid connectionId: C1="}`), is: ErrGone, attempts: 1},
		{name: "400 with an invalid connection id in other words", answer: badRequest("", `{"connectionId":"C1=","Message":"invalid connection ID"}`), is: ErrGone, attempts: 1},
		{name: "400 with an error type of an invalid connection id", answer: badRequest("InvalidConnectionIdException:http://internal.amazon.com/", ``), is: ErrGone, attempts: 1},
		{name: "400 with another message", answer: badRequest("BadRequestException", `{"message":"connectionId and data are required, secret wJalrXUtnFEMI"}`),
			says: "answered 400 Bad Request (BadRequestException)", attempts: 1},
		{name: "400 with the id in another member", answer: badRequest("BadRequestException", `{"message":"no","detail":"Invalid connectionId: C1="}`),
			says: "answered 400 Bad Request (BadRequestException)", attempts: 1},
		{name: "400 that is not JSON", answer: badRequest("", `<p>Invalid connectionId: C1=</p>`), says: "answered 400 Bad Request", attempts: 1},
		{name: "400 with a long message", answer: badRequest("", `{"message":"`+strings.Repeat("x", maxMessageBytes)+`Invalid connectionId: C1="}`),
			says: "answered 400 Bad Request", attempts: 1},
		{name: "403 with an invalid connection id", answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"Invalid connectionId: C1="}`, http.StatusForbidden)
		}, says: "answered 403 Forbidden", attempts: 1},
		{name: "403", answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException:http://internal.amazon.com/")
			http.Error(w, `{"message":"not authorized"}`, http.StatusForbidden)
		}, says: "answered 403 Forbidden (AccessDeniedException): the role needs execute-api:ManageConnections", attempts: 1},
		{name: "400 with an invalid error type", answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", "<script>")
			w.WriteHeader(400)
		}, says: "answered 400 Bad Request", attempts: 1},
		{name: "redirect", answer: func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, says: "answered 307", attempts: 1},
		{name: "no answer", answer: func(_ int, _ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, timeout: 20 * time.Millisecond, is: context.DeadlineExceeded, says: "no answer within 20ms", attempts: 1},
		{name: "200 with a body that does not end", answer: func(_ int, w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "10")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, timeout: 20 * time.Millisecond, attempts: 1},
		{name: "connection reset", answer: reset, says: "post to connection C1=: ", attempts: 1},
		{name: "answer that is not HTTP", answer: raw("SSH-2.0-OpenSSH\r\n\r\n"), says: "malformed", attempts: 1},
		{name: "head without an end", answer: raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 1000)),
			says: "unexpected EOF", attempts: 1},
		{name: "interim answer, then 410", answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusGone)
		}, is: ErrGone, attempts: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var attempts atomic.Int64
			m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
				if connectionOf(r) != "C1=" {
					t.Errorf("a request came for %s", r.RequestURI)
				}
				test.answer(int(attempts.Add(1)), w, r)
			})
			var waits atomic.Int64
			p := m.newPoster(t, PosterOptions{Timeout: test.timeout, Wait: func(_ context.Context, d time.Duration) error {
				if most := backOff << waits.Load(); d < 0 || d > most {
					t.Errorf("wait %d is %v, want one from 0 to %v", waits.Load()+1, d, most)
				}
				waits.Add(1)
				return nil
			}})

			err := p.Post(t.Context(), "C1=", NewPayload([]byte("hello")))

			fails := test.is != nil || test.says != ""
			asExpected := test.is == nil || errors.Is(err, test.is) || errors.Is(test.is, context.DeadlineExceeded) && timedOut(err)
			if fails != (err != nil) || !asExpected {
				t.Errorf("got error %v, want %v %q", err, test.is, test.says)
			}
			if err != nil && (!strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), testToken)) {
				t.Errorf("error says %q, want %q and no secrets", err, test.says)
			}
			if n := int(attempts.Load()); n != test.attempts {
				t.Errorf("%d attempts were made, want %d", n, test.attempts)
			}
			if n := int(waits.Load()); n != test.attempts-1 {
				t.Errorf("waited %d times, want %d", n, test.attempts-1)
			}
			if n := len(p.slots) + len(p.waiting) + len(p.overdue); n != 0 {
				t.Errorf("%d slots were not given back", n)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	post := func(t *testing.T, p *Poster) {
		t.Helper()
		if err := p.Post(t.Context(), "C", NewPayload([]byte("hello"))); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		between func(*management, *Poster)
		dials   int64 // for three posts
	}{
		{name: "empty answer", answer: func(http.ResponseWriter, *http.Request) {}, dials: 1},
		{name: "answer with a body", answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 5000))
		}, dials: 1},
		{name: "answer in chunks", answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "y")
		}, dials: 1},
		{name: "huge answer", answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 100<<20))
		}, dials: 3},
		{name: "answer with Connection: close", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
		}, dials: 3},
		{name: "connection that the server closed between posts", answer: func(http.ResponseWriter, *http.Request) {},
			between: func(m *management, _ *Poster) { m.CloseClientConnections() }, dials: 3},
		{name: "connection that was idle for too long", answer: func(http.ResponseWriter, *http.Request) {},
			between: func(_ *management, p *Poster) { p.wires.idle[0].since = time.Now().Add(-maxIdle) }, dials: 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := newManagement(t, test.answer)
			p := m.newPoster(t, PosterOptions{Attempts: 1})
			for n := range 3 {
				if n > 0 && test.between != nil {
					test.between(m, p)
				}
				post(t, p)
			}
			if got := m.dials.Load(); got != test.dials {
				t.Errorf("three posts took %d connections, want %d", got, test.dials)
			}
			p.Close()
			if n := len(p.wires.idle); n != 0 {
				t.Errorf("%d connections are left after Close", n)
			}
		})
	}
}

// TestFreeze posts, as a Lambda does that was frozen after its last post. Meanwhile the
// server has closed the connections. Each post is carried out once.
func TestFreeze(t *testing.T) {
	const connections = 20
	aged := func(d time.Duration) func(*management, *Poster) {
		return func(m *management, p *Poster) {
			m.CloseClientConnections()
			for _, w := range p.wires.idle {
				w.since = w.since.Add(-d)
			}
		}
	}
	for name, freeze := range map[string]func(*management, *Poster){
		"a second":    aged(time.Second),
		"40 seconds":  aged(40 * time.Second),
		"ten minutes": aged(10 * time.Minute),
		"a second, on a server that writes 408": func(m *management, _ *Poster) {
			for range connections {
				conn := <-m.kept
				_, _ = io.WriteString(conn, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				_ = conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{100, joinedBytes + 1} {
				var mu sync.Mutex
				received := make(map[string]int)
				var all sync.WaitGroup
				m := newManagement(t, nil)
				m.kept = make(chan net.Conn, 2*connections)
				m.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					mu.Lock()
					received[connectionOf(r)]++
					mu.Unlock()
					all.Done() // together, so that each post has a connection of its own
					all.Wait()
					if strings.HasSuffix(name, "408") {
						conn, _, err := http.NewResponseController(w).Hijack()
						if err != nil {
							t.Error(err)
							return
						}
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						m.kept <- conn
					}
				})
				p := m.newPoster(t, PosterOptions{Attempts: 1})
				payload := NewPayload([]byte(strings.Repeat("x", size)))
				for round := range 2 {
					if round > 0 {
						freeze(m, p)
					}
					all.Add(connections)
					var posts sync.WaitGroup
					for n := range connections {
						posts.Go(func() {
							if err := p.Post(t.Context(), fmt.Sprint(n), payload); err != nil {
								t.Error(err)
							}
						})
					}
					posts.Wait()
				}
				if len(received) != connections {
					t.Errorf("%d connections got posts of %d bytes, want %d", len(received), size, connections)
				}
				for connection, n := range received {
					if n != 2 {
						t.Errorf("connection %s got %d posts of %d bytes, want 2", connection, n, size)
					}
				}
				if got := m.dials.Load(); got != 2*connections {
					t.Errorf("%d connections were opened, want %d", got, 2*connections)
				}
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestSlots(t *testing.T) {
	t.Run("post that waits", func(t *testing.T) {
		m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
			if connectionOf(r) == "slow" {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		var p *Poster
		p = m.newPoster(t, PosterOptions{Concurrency: 1, Attempts: 2, Wait: func(ctx context.Context, _ time.Duration) error {
			return p.Post(ctx, "quick", NewPayload([]byte("hello")))
		}})
		if err := p.Post(t.Context(), "slow", NewPayload([]byte("hello"))); !errors.Is(err, ErrSlow) {
			t.Errorf("got %v, want ErrSlow", err)
		}
	})
	t.Run("post that waits while too many others do", func(t *testing.T) {
		m := newManagement(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
		var p *Poster
		var held atomic.Int64
		p = m.newPoster(t, PosterOptions{Concurrency: 1, Attempts: 2, Wait: func(context.Context, time.Duration) error {
			held.Store(int64(len(p.slots)))
			return nil
		}})
		p.waiting = make(chan struct{})
		if err := p.Post(t.Context(), "slow", NewPayload([]byte("hello"))); !errors.Is(err, ErrSlow) {
			t.Errorf("got %v, want ErrSlow", err)
		}
		if held.Load() != 1 {
			t.Error("the slot was given back during the wait")
		}
		if len(p.slots) != 0 {
			t.Error("the slot was not given back after the post")
		}
	})
}

// TestOverdue has one slot, and a server that answers the post to "late" only when another
// post has been carried out: it would hang if an overdue post kept its slot.
func TestOverdue(t *testing.T) {
	for name, size := range map[string]int{"small post": 10, "post of the largest size": hub.MaxMessageBytes} {
		for _, last := range []int{http.StatusOK, http.StatusTooManyRequests} {
			t.Run(fmt.Sprintf("%s, then %d", name, last), func(t *testing.T) {
				var late atomic.Int64
				arrived, other := make(chan struct{}), make(chan struct{})
				m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					switch {
					case connectionOf(r) == "other":
						close(other)
					case late.Add(1) == 1:
						close(arrived)
						<-other
						w.WriteHeader(last)
					}
				})
				p := m.newPoster(t, PosterOptions{Concurrency: 1})
				var posts sync.WaitGroup
				posts.Go(func() {
					if err := p.Post(t.Context(), "late", NewPayload(make([]byte, size))); err != nil {
						t.Error(err)
					}
				})
				<-arrived
				if err := p.Post(t.Context(), "other", NewPayload([]byte("hello"))); err != nil {
					t.Error(err)
				}
				posts.Wait()
				want := 1
				if last == http.StatusTooManyRequests {
					want = 2
				}
				if n := int(late.Load()); n != want {
					t.Errorf("%d posts to late, want %d", n, want)
				}
				if n := len(p.slots) + len(p.waiting) + len(p.overdue); n != 0 {
					t.Errorf("%d places were not given back", n)
				}
				if n := len(p.wires.idle); n != 1 {
					t.Errorf("%d connections are kept alive, want as many as slots", n)
				}
			})
		}
	}
	t.Run("slot of an overdue post while too many others are overdue", func(t *testing.T) {
		p := newManagement(t, nil).newPoster(t, PosterOptions{Concurrency: 1})
		p.overdue = make(chan struct{}, 1)
		p.overdue <- struct{}{}
		p.slots <- struct{}{}
		o := turn{poster: p, slot: true}
		o.yield()
		if !o.slot || len(p.slots) != 1 {
			t.Error("the slot was given back")
		}
		o.end()
		if len(p.slots) != 0 || len(p.overdue) != 1 {
			t.Errorf("%d slots are held, and %d places, want 0 and 1", len(p.slots), len(p.overdue))
		}
	})
	t.Run("post that is overdue on two connections", func(t *testing.T) {
		p := newManagement(t, nil).newPoster(t, PosterOptions{Concurrency: 1})
		p.slots <- struct{}{}
		o := turn{poster: p, slot: true}
		o.yield()
		o.yield()
		if len(p.slots) != 0 || len(p.overdue) != 1 {
			t.Errorf("%d slots are held, and %d places, want 0 and 1", len(p.slots), len(p.overdue))
		}
		o.end()
		if len(p.overdue) != 0 {
			t.Errorf("%d places were not given back", len(p.overdue))
		}
	})
}

func TestCancel(t *testing.T) {
	t.Run("overdue post", func(t *testing.T) {
		arrived := make(chan struct{})
		m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if connectionOf(r) == "hung" {
				close(arrived)
				<-r.Context().Done()
			}
		})
		p := m.newPoster(t, PosterOptions{Concurrency: 1})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			// It gets the one slot when the other post is overdue.
			if err := p.Post(t.Context(), "other", NewPayload([]byte("hello"))); err != nil {
				t.Error(err)
			}
			cancel()
		}()
		if err := p.Post(ctx, "hung", NewPayload([]byte("hello"))); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the error of the context", err)
		}
		if n := len(p.overdue); n != 0 {
			t.Errorf("%d places were not given back", n)
		}
	})
	t.Run("post without an answer", func(t *testing.T) {
		arrived := make(chan struct{})
		m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(arrived)
			<-r.Context().Done()
		})
		p := m.newPoster(t, PosterOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		if err := p.Post(ctx, "C", NewPayload([]byte("hello"))); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the error of the context", err)
		}
	})
	t.Run("wait between attempts", func(t *testing.T) {
		m := newManagement(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
		ctx, cancel := context.WithCancel(t.Context())
		p := m.newPoster(t, PosterOptions{Concurrency: 1, Wait: func(ctx context.Context, _ time.Duration) error {
			cancel()
			return sleep(ctx, time.Hour)
		}})
		for _, room := range []int{maxWaiting, 0} {
			p.waiting = make(chan struct{}, room)
			if err := p.Post(ctx, "C", NewPayload([]byte("hello"))); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the error of the context", err)
			}
			if n := len(p.slots); n != 0 {
				t.Errorf("%d slots were not given back", n)
			}
			ctx, cancel = context.WithCancel(t.Context())
		}
		cancel()
	})
	t.Run("wait for a slot", func(t *testing.T) {
		m := newManagement(t, func(http.ResponseWriter, *http.Request) {})
		p := m.newPoster(t, PosterOptions{Concurrency: 1})
		if err := p.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			if err := p.Delete(ctx, "C"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the error of the context", err)
			}
		})
		cancel()
		done.Wait()
	})
}

func TestConnectionWithoutID(t *testing.T) {
	m := newManagement(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	if err := m.newPoster(t, PosterOptions{}).Post(t.Context(), "", NewPayload([]byte("hello"))); err == nil {
		t.Error("no error")
	}
}

func TestSleep(t *testing.T) {
	var attempts atomic.Int64
	m := newManagement(t, func(w http.ResponseWriter, _ *http.Request) {
		if attempts.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	if err := m.newPoster(t, PosterOptions{Wait: sleep}).Post(t.Context(), "C", NewPayload([]byte("hello"))); err != nil {
		t.Error(err)
	}
}

func TestInvalidCredentials(t *testing.T) {
	m := newManagement(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for name, provider := range map[string]aws.CredentialsProviderFunc{
		"credentials that cannot be retrieved": func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no role")
		},
		"credentials with a line break": func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T\r\nX: y"}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPoster(PosterOptions{URL: m.URL, Region: "eu-west-1", Credentials: provider})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Post(t.Context(), "C", NewPayload([]byte("hello"))); err == nil || !strings.Contains(err.Error(), "credentials") {
				t.Errorf("got %v, want an error about credentials", err)
			}
		})
	}
}

func TestNewPosterErrors(t *testing.T) {
	valid := PosterOptions{URL: "https://a.example/prod", Region: "eu-west-1", Credentials: aws.AnonymousCredentials{}}
	if _, err := NewPoster(valid); err != nil {
		t.Fatalf("valid options: %v", err)
	}
	for name, change := range map[string]func(*PosterOptions){
		"no URL":                 func(o *PosterOptions) { o.URL = "" },
		"a URL without a host":   func(o *PosterOptions) { o.URL = "https:///prod" },
		"a socket's URL":         func(o *PosterOptions) { o.URL = "wss://a.example/prod" },
		"a URL with a password":  func(o *PosterOptions) { o.URL = "https://u:hunter2@a.example/prod" },
		"a URL with a query":     func(o *PosterOptions) { o.URL = "https://a.example/prod?x=y" },
		"no region":              func(o *PosterOptions) { o.Region = "" },
		"no credentials":         func(o *PosterOptions) { o.Credentials = nil },
		"a negative concurrency": func(o *PosterOptions) { o.Concurrency = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := valid
			change(&o)
			if _, err := NewPoster(o); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got error %v", err)
			}
		})
	}
}
