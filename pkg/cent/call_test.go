package cent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// responses is a transport that returns a list of responses, the last one again and
// again, and records the bodies of requests.
type responses struct {
	list   []func(*http.Request) (*http.Response, error)
	bodies []string
}

func (a *responses) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a.bodies = append(a.bodies, string(b))
	return a.list[min(len(a.bodies), len(a.list))-1](r)
}

func respond(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://elsewhere.example/"}},
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func disconnect(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }

// timeout sends no response before the attempt ends.
func timeout(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func newClient(t *testing.T, o Options, list ...func(*http.Request) (*http.Response, error)) (*Client, *responses) {
	t.Helper()
	a := &responses{list: list}
	o.URL, o.APIKey, o.HTTP = "https://host.example/stage", "key", &http.Client{Transport: a}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

const ok = `{"result":{}}`

func TestCallRepetition(t *testing.T) {
	for _, tt := range []struct {
		name     string
		response func(*http.Request) (*http.Response, error)
		want     *Error // nil for an error without a response
		attempts int
	}{
		{"a lost connection", disconnect, nil, 4},
		{"an internal error", respond(200, `{"error":{"code":100,"message":"m"}}`), &Error{100, "m", true}, 4},
		{"a conflict", respond(200, `{"error":{"code":113,"message":"m"}}`), &Error{113, "m", true}, 4},
		{"an error of API Gateway", respond(503, `{"message":"Service Unavailable"}`), &Error{0, "status 503 Service Unavailable", true}, 4},
		{"a limit of API Gateway", respond(429, `{"message":"Too Many Requests"}`), &Error{0, "status 429 Too Many Requests", true}, 4},
		{"an internal error with its status", respond(500, `{"error":{"code":100,"message":"m"}}`), &Error{100, "m", true}, 4},
		{"a wrong key", respond(401, `{"error":{"code":101,"message":"m"}}`), &Error{101, "m", false}, 1},
		{"a category that is not there", respond(200, `{"error":{"code":102,"message":"m"}}`), &Error{102, "m", false}, 1},
		{"a response of another server", respond(404, `<html>`), &Error{0, "status 404 Not Found", false}, 1},
		{"a redirect, which is not followed", respond(307, ``), &Error{0, "status 307 Temporary Redirect", false}, 1},
		{"a page", respond(200, `<html>`), &Error{0, "not a response of Centrifuge: check the URL", false}, 1},
		{"a response without a result", respond(200, `{}`), &Error{0, "not a response of Centrifuge: check the URL", false}, 1},
		{"null", respond(200, `null`), &Error{0, "not a response of Centrifuge: check the URL", false}, 1},
		{"a result of another form", respond(200, `{"result":[]}`), &Error{0, "not a response of Centrifuge: check the URL", false}, 1},
		{"a response without an end", respond(200, strings.Repeat(" ", MaxResponseBytes+1)), &Error{0, "the response is longer than 8388608 bytes", false}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, a := newClient(t, Options{}, tt.response)
				_, err := c.Publish(t.Context(), "chat:x", 1, PublishOptions{})
				var got *Error
				if errors.As(err, &got); err == nil {
					t.Fatal("no error")
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if len(a.bodies) != tt.attempts {
					t.Errorf("%d attempts, expected %d", len(a.bodies), tt.attempts)
				}
			})
		})
	}
}

// idempotencyKeys returns the keys of requests.
func idempotencyKeys(t *testing.T, bodies []string) []string {
	t.Helper()
	var keys []string
	for _, body := range bodies {
		var q struct {
			Key string `json:"idempotency_key"`
		}
		if err := json.Unmarshal([]byte(body), &q); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, q.Key)
	}
	return keys
}

func TestPublishIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := newClient(t, Options{}, disconnect, respond(200, ok))
		for _, o := range []PublishOptions{{}, {}, {IdempotencyKey: "mine"}} {
			if _, err := c.Publish(t.Context(), "chat:x", 1, o); err != nil {
				t.Fatal(err)
			}
		}
		keys := idempotencyKeys(t, a.bodies)
		if len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] || keys[3] != "mine" {
			t.Errorf("keys %q", keys)
		}
	})
}

func TestBroadcastRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := newClient(t, Options{},
			respond(200, `{"result":{"responses":[{"result":{}},{"error":{"code":113,"message":"m"}},{"error":{"code":102,"message":"n"}}]}}`),
			respond(200, `{"result":{"responses":[{"result":{}}]}}`))
		got, err := c.Broadcast(t.Context(), []string{"a:a", "b:b", "c:c"}, 1, PublishOptions{IdempotencyKey: "k"})
		want := []Outcome{{Channel: "a:a"}, {Channel: "b:b"}, {Channel: "c:c", Error: &Error{Code: 102, Message: "n"}}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if diff := cmp.Diff(`{"channels":["b:b"],"data":1,"idempotency_key":"k"}`+"\n", a.bodies[1]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the last attempt fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, a := newClient(t, Options{Attempts: 3}, respond(200, `{"result":{"responses":[{"error":{"code":100,"message":"m"}}]}}`))
			got, err := c.Broadcast(t.Context(), []string{"a:a"}, 1, PublishOptions{})
			if diff := cmp.Diff([]Outcome{{Channel: "a:a", Error: &Error{100, "m", true}}}, got); diff != "" || err != nil || len(a.bodies) != 3 {
				t.Error(diff, err, len(a.bodies))
			}
		})
	})
	t.Run("another number of responses than channels", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newClient(t, Options{}, respond(200, `{"result":{"responses":[]}}`))
			if got, err := c.Broadcast(t.Context(), []string{"a:a"}, 1, PublishOptions{}); err == nil {
				t.Errorf("outcomes %v", got)
			}
		})
	})
}

func TestAttemptsIdempotencyWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := newClient(t, Options{Timeout: MaxTimeout, Attempts: MaxAttempts}, timeout)
		start := time.Now()
		if _, err := c.Publish(t.Context(), "chat:x", 1, PublishOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took >= hub.IdempotencyWindow || len(a.bodies) < 3 {
			t.Errorf("%d attempts within %v", len(a.bodies), took)
		}
	})
}

func TestDelivered(t *testing.T) {
	three, none := 3, 0
	t.Run("of a publish", func(t *testing.T) {
		for body, want := range map[string]*int{
			`{"result":{"delivered":3}}`: &three,
			`{"result":{"delivered":0}}`: &none,
			`{"result":{}}`:              nil,
		} {
			c, _ := newClient(t, Options{}, respond(200, body))
			got, err := c.Publish(t.Context(), "a:a", 1, PublishOptions{})
			if diff := cmp.Diff(Result{Delivered: want}, got); diff != "" || err != nil {
				t.Error(body, diff, err)
			}
		}
	})
	t.Run("of a broadcast", func(t *testing.T) {
		c, _ := newClient(t, Options{}, respond(200, `{"result":{"responses":[{"result":{"delivered":3}},{"error":{"code":102,"message":"n"}},{"result":{}}]}}`))
		got, err := c.Broadcast(t.Context(), []string{"a:a", "b:b", "c:c"}, 1, PublishOptions{})
		want := []Outcome{{Channel: "a:a", Result: Result{Delivered: &three}}, {Channel: "b:b", Error: &Error{Code: 102, Message: "n"}}, {Channel: "c:c"}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestRetryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{Attempts: 5, BackOff: time.Second}, disconnect)
		start := time.Now()
		if err := c.Disconnect(t.Context(), "u"); err == nil {
			t.Error("no error")
		}
		if took := time.Since(start); took == 0 || took > (1+2+4+5)*time.Second {
			t.Errorf("waited %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, a := newClient(t, Options{}, timeout)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Info(ctx); !errors.Is(err, context.DeadlineExceeded) || len(a.bodies) != 1 {
			t.Errorf("error %v after %d attempts", err, len(a.bodies))
		}
	})
}

func TestPublishDataWithoutJSONForm(t *testing.T) {
	c, a := newClient(t, Options{}, respond(200, ok))
	if _, err := c.Publish(t.Context(), "chat:x", func() {}, PublishOptions{}); err == nil || len(a.bodies) > 0 {
		t.Errorf("error %v after %d requests", err, len(a.bodies))
	}
	if _, err := c.Publish(t.Context(), "chat:x", json.RawMessage("{"), PublishOptions{}); err == nil || len(a.bodies) > 0 {
		t.Errorf("error %v after %d requests", err, len(a.bodies))
	}
}

func TestCallAttempts(t *testing.T) {
	c, a := newClient(t, Options{}, disconnect)
	if _, err := c.Call(t.Context(), "publish", 1); err == nil || len(a.bodies) != 1 {
		t.Errorf("error %v after %d requests", err, len(a.bodies))
	}
	c, a = newClient(t, Options{}, respond(200, `{"result":{"a": 1}}`))
	got, err := c.Call(t.Context(), "publish", json.RawMessage(`{"channel":"a:b"}`))
	if err != nil || string(got) != `{"a": 1}` || a.bodies[0] != `{"channel":"a:b"}`+"\n" {
		t.Errorf("result %s, error %v, body %q", got, err, a.bodies)
	}
	c, _ = newClient(t, Options{}, respond(200, `{"replies":[{"info":{}}]}`))
	got, err = c.Call(t.Context(), "batch", json.RawMessage(`{"commands":[{"info":{}}]}`))
	if err != nil || string(got) != `{"replies":[{"info":{}}]}` {
		t.Errorf("result %s, error %v", got, err)
	}
	c, _ = newClient(t, Options{}, respond(404, `{"error":{"code":104,"message":"m"}}`))
	if _, err := c.Call(t.Context(), "../x", 1); !errors.Is(err, &Error{Code: 104}) {
		t.Errorf("error %v", err)
	}
}

func FuzzDecodeAdmin(f *testing.F) {
	f.Add(200, "", []byte(`{"projects":[]}`))
	f.Add(429, "840", []byte(`{"error":{"code":106,"message":"m"}}`))
	f.Add(503, "-1", []byte(`{"message":"Service Unavailable"}`))
	f.Add(201, "", []byte(`null`))
	f.Fuzz(func(t *testing.T, status int, after string, b []byte) {
		res := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}
		var result struct {
			Projects []struct{ ID string } `json:"projects"`
		}
		err := decodeAdmin(res, b, &result)
		var e *Error
		if err == nil && (status != 200 && status != 201 || !json.Valid(b)) {
			t.Errorf("status %d and %q are a result", status, b)
		}
		if err != nil && (!errors.As(err, &e) || e.Error() == "") {
			t.Errorf("error %v is not an Error", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(200, []byte(ok))
	f.Add(200, []byte(`{"error":{"code":100,"message":"m"}}`))
	f.Add(503, []byte(`{"message":"Service Unavailable"}`))
	f.Add(200, []byte(`{"result":{"responses":[null,{"error":null},{"error":{"code":0}}]}}`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		var result struct {
			Responses []struct {
				Error *failure `json:"error"`
			} `json:"responses"`
		}
		err := decode(status, b, &result)
		var e *Error
		if err == nil && (status != 200 || !json.Valid(b)) {
			t.Errorf("status %d and %q are a result", status, b)
		}
		if err != nil && (!errors.As(err, &e) || e.Error() == "") {
			t.Errorf("error %v is not an Error", err)
		}
	})
}

func TestNamesThatAreNotText(t *testing.T) {
	c, err := New(Options{URL: "http://127.0.0.1:1", APIKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	const wrong = "line 1, column 3: this byte is not UTF-8"
	for name, call := range map[string]func() error{
		"publish": func() error { _, err := c.Publish(t.Context(), "a:\xff", 1, PublishOptions{}); return err },
		"broadcast": func() error {
			_, err := c.Broadcast(t.Context(), []string{"a:b", "a:\xff"}, 1, PublishOptions{})
			return err
		},
		"unsubscribe": func() error { return c.Unsubscribe(t.Context(), "u", "a:\xff") },
		"disconnect":  func() error { return c.Disconnect(t.Context(), "u:\xff") },
		"presence":    func() error { _, err := c.Presence(t.Context(), "a:\xff"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("error %v, expected %q", err, wrong)
			}
		})
	}
}

// TestChannelPages reads a list of channels in pages, with the cursor of each answer.
func TestChannelPages(t *testing.T) {
	page := func(channel, cursor string) func(*http.Request) (*http.Response, error) {
		return respond(200, `{"result":{"channels":{"`+channel+`":{"num_clients":2}},"cursor":"`+cursor+`"}}`)
	}
	c, a := newClient(t, Options{}, page("a:a", "1"), page("a:b", "2"), respond(200, `{"result":{"channels":{"a:c":{"num_clients":3}}}}`))
	got, err := c.Channels(t.Context(), "a:*")
	if diff := cmp.Diff(map[string]int{"a:a": 2, "a:b": 2, "a:c": 3}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	want := []string{
		`{"pattern":"a:*","limit":3000}` + "\n", `{"pattern":"a:*","limit":3000,"cursor":"1"}` + "\n", `{"pattern":"a:*","limit":3000,"cursor":"2"}` + "\n",
	}
	if diff := cmp.Diff(want, a.bodies); diff != "" {
		t.Error(diff)
	}
	c, a = newClient(t, Options{}, page("a:a", "1"))
	if _, err := c.Channels(t.Context(), ""); err == nil || len(a.bodies) != 2 {
		t.Errorf("the same cursor again: %d requests, error %v", len(a.bodies), err)
	}
}
