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

// answers is a transport that gives one answer after another, the last for ever,
// and keeps the bodies of requests.
type answers struct {
	list   []func(*http.Request) (*http.Response, error)
	bodies []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a.bodies = append(a.bodies, string(b))
	return a.list[min(len(a.bodies), len(a.list))-1](r)
}

func says(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://elsewhere.example/"}},
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func breaks(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }

// hangs answers nothing until the attempt is over.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func over(t *testing.T, o Options, list ...func(*http.Request) (*http.Response, error)) (*Client, *answers) {
	t.Helper()
	a := &answers{list: list}
	o.URL, o.APIKey, o.HTTP = "https://host.example/stage", "key", &http.Client{Transport: a}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

const ok = `{"result":{}}`

func TestWhichFailuresAreRepeated(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answer   func(*http.Request) (*http.Response, error)
		want     *Error // nil for an error that is none of an answer
		attempts int
	}{
		{"a connection that breaks", breaks, nil, 4},
		{"an internal error", says(200, `{"error":{"code":100,"message":"m"}}`), &Error{100, "m", true}, 4},
		{"a conflict", says(200, `{"error":{"code":113,"message":"m"}}`), &Error{113, "m", true}, 4},
		{"an error of API Gateway", says(503, `{"message":"Service Unavailable"}`), &Error{0, "status 503 Service Unavailable", true}, 4},
		{"a limit of API Gateway", says(429, `{"message":"Too Many Requests"}`), &Error{0, "status 429 Too Many Requests", true}, 4},
		{"an internal error with its status", says(500, `{"error":{"code":100,"message":"m"}}`), &Error{100, "m", true}, 4},
		{"a wrong key", says(401, `{"error":{"code":101,"message":"m"}}`), &Error{101, "m", false}, 1},
		{"a category that is not there", says(200, `{"error":{"code":102,"message":"m"}}`), &Error{102, "m", false}, 1},
		{"another server", says(404, `<html>`), &Error{0, "status 404 Not Found", false}, 1},
		{"a redirect, which is not followed", says(307, ``), &Error{0, "status 307 Temporary Redirect", false}, 1},
		{"a page", says(200, `<html>`), &Error{0, "the answer is not one of Centrifuge", false}, 1},
		{"an answer without a result", says(200, `{}`), &Error{0, "the answer is not one of Centrifuge", false}, 1},
		{"null", says(200, `null`), &Error{0, "the answer is not one of Centrifuge", false}, 1},
		{"a result of another form", says(200, `{"result":[]}`), &Error{0, "the answer is not one of Centrifuge", false}, 1},
		{"an endless answer", says(200, strings.Repeat(" ", MaxAnswerBytes+1)), &Error{0, "the answer is longer than 8388608 bytes", false}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, a := over(t, Options{}, tt.answer)
				err := c.Publish(t.Context(), "chat:x", 1, PublishOptions{})
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

// idempotencyKeys are the keys that requests carried.
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

func TestAKeyIsMadeForEachCallAndKeptByItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := over(t, Options{}, breaks, says(200, ok))
		for _, o := range []PublishOptions{{}, {}, {IdempotencyKey: "mine"}} {
			if err := c.Publish(t.Context(), "chat:x", 1, o); err != nil {
				t.Fatal(err)
			}
		}
		keys := idempotencyKeys(t, a.bodies)
		if len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] || keys[3] != "mine" {
			t.Errorf("keys %q", keys)
		}
	})
}

func TestABroadcastRepeatsWhatFailedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := over(t, Options{},
			says(200, `{"result":{"responses":[{"result":{}},{"error":{"code":113,"message":"m"}},{"error":{"code":102,"message":"n"}}]}}`),
			says(200, `{"result":{"responses":[{"result":{}}]}}`))
		got, err := c.Broadcast(t.Context(), []string{"a:a", "b:b", "c:c"}, 1, PublishOptions{IdempotencyKey: "k"})
		want := []Outcome{{"a:a", nil}, {"b:b", nil}, {"c:c", &Error{Code: 102, Message: "n"}}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if diff := cmp.Diff(`{"channels":["b:b"],"data":1,"idempotency_key":"k"}`+"\n", a.bodies[1]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("in vain", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, a := over(t, Options{Attempts: 3}, says(200, `{"result":{"responses":[{"error":{"code":100,"message":"m"}}]}}`))
			got, err := c.Broadcast(t.Context(), []string{"a:a"}, 1, PublishOptions{})
			if diff := cmp.Diff([]Outcome{{"a:a", &Error{100, "m", true}}}, got); diff != "" || err != nil || len(a.bodies) != 3 {
				t.Error(diff, err, len(a.bodies))
			}
		})
	})
	t.Run("an answer for another number of channels", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := over(t, Options{}, says(200, `{"result":{"responses":[]}}`))
			if got, err := c.Broadcast(t.Context(), []string{"a:a"}, 1, PublishOptions{}); err == nil {
				t.Errorf("outcomes %v", got)
			}
		})
	})
}

// TestNoAttemptOutlivesTheKey has every attempt take as long as it may.
func TestNoAttemptOutlivesTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := over(t, Options{Timeout: MaxTimeout, Attempts: MaxAttempts}, hangs)
		start := time.Now()
		if err := c.Publish(t.Context(), "chat:x", 1, PublishOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took >= hub.IdempotencyWindow || len(a.bodies) < 3 {
			t.Errorf("%d attempts within %v", len(a.bodies), took)
		}
	})
}

func TestWaitsAreBoundedAndEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := over(t, Options{Attempts: 5, BackOff: time.Second}, breaks)
		start := time.Now()
		if err := c.Disconnect(t.Context(), "u"); err == nil {
			t.Error("no error")
		}
		if took := time.Since(start); took == 0 || took > (1+2+4+5)*time.Second {
			t.Errorf("waited %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, a := over(t, Options{}, hangs)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Info(ctx); !errors.Is(err, context.DeadlineExceeded) || len(a.bodies) != 1 {
			t.Errorf("error %v after %d attempts", err, len(a.bodies))
		}
	})
}

func TestDataThatIsNoJSON(t *testing.T) {
	c, a := over(t, Options{}, says(200, ok))
	if err := c.Publish(t.Context(), "chat:x", func() {}, PublishOptions{}); err == nil || len(a.bodies) > 0 {
		t.Errorf("error %v after %d requests", err, len(a.bodies))
	}
	if err := c.Publish(t.Context(), "chat:x", json.RawMessage("{"), PublishOptions{}); err == nil || len(a.bodies) > 0 {
		t.Errorf("error %v after %d requests", err, len(a.bodies))
	}
}

func TestCallIsMadeOnce(t *testing.T) {
	c, a := over(t, Options{}, breaks)
	if _, err := c.Call(t.Context(), "publish", 1); err == nil || len(a.bodies) != 1 {
		t.Errorf("error %v after %d requests", err, len(a.bodies))
	}
	c, a = over(t, Options{}, says(200, `{"result":{"a": 1}}`))
	got, err := c.Call(t.Context(), "publish", json.RawMessage(`{"channel":"a:b"}`))
	if err != nil || string(got) != `{"a": 1}` || a.bodies[0] != `{"channel":"a:b"}`+"\n" {
		t.Errorf("result %s, error %v, body %q", got, err, a.bodies)
	}
	c, _ = over(t, Options{}, says(404, `{"error":{"code":104,"message":"m"}}`))
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
