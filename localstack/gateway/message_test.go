package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
)

func TestRouteSelection(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, frame, route string }{
		{"a method with a route goes there", `{"method":"auth","id":1}`, "auth"},
		{"a method without a route goes to $default", `{"method":"unknown"}`, "$default"},
		{"no method goes to $default", `{"id":1}`, "$default"},
		{"an empty method goes to $default", `{"method":""}`, "$default"},
		{"a method that is a number goes to $default", `{"method":1}`, "$default"},
		{"a method that is null goes to $default", `{"method":null}`, "$default"},
		{"a method in another case goes to $default", `{"METHOD":"auth"}`, "$default"},
		{"an array goes to $default", `[{"method":"auth"}]`, "$default"},
		{"null goes to $default", `null`, "$default"},
		{"invalid JSON goes to $default", `{"method":"auth"`, "$default"},
		{"several objects in a frame go to $default", "{\"method\":\"auth\"}\n{\"method\":\"auth\"}", "$default"},
		{"an empty frame goes to $default", ``, "$default"},
		{"$connect cannot be selected", `{"method":"$connect"}`, "$default"},
		{"$disconnect cannot be selected", `{"method":"$disconnect"}`, "$default"},
		{"$connect with an escape cannot be selected", `{"method":"\u0024connect"}`, "$default"},
		{"$default by name goes to $default", `{"method":"$default"}`, "$default"},
		{"deep nesting goes to $default", strings.Repeat("[", 20000), "$default"},
	}
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		connected := make(chan string, 1)
		r := start(t, gateway.Options{Jitter: jitter, Routes: map[string]gateway.Function{
			"$connect": accept(connected), "$disconnect": returns(`{}`), "$default": echo, "auth": echo,
		}})
		conn := r.dial(t)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				write(t, conn, c.frame)
				if diff := cmp.Diff(c.route+" "+c.frame, read(t, conn)); diff != "" {
					t.Error(diff)
				}
			})
		}
		if got := len(connected); got != 1 {
			t.Errorf("$connect was invoked %d times, want once", got)
		}
	})
}

func TestSelectBy(t *testing.T) {
	t.Parallel()
	r := start(t, gateway.Options{SelectBy: "action", Routes: map[string]gateway.Function{"go": echo}})
	conn := r.dial(t)
	write(t, conn, `{"action":"go","method":"stay"}`)
	if got, want := read(t, conn), `go {"action":"go","method":"stay"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// refused is the error that the gateway itself sends.
type refused struct {
	Message      string `json:"message"`
	ConnectionID string `json:"connectionId"`
	RequestID    string `json:"requestId"`
}

func TestRouteResponse(t *testing.T) {
	t.Parallel()
	const failure = "Internal server error"
	cases := []struct {
		name     string
		function gateway.Function
		frame    string // expected if the function succeeds
		message  string // expected if the gateway answers
	}{
		{"the body of a 200 is sent", returns(`{"statusCode":200,"body":"hello"}`), "hello", ""},
		{"the body of a 400 is sent", returns(`{"statusCode":400,"body":"bad"}`), "bad", ""},
		{"a base64 body is decoded", returns(`{"statusCode":200,"body":"aGVsbG8=","isBase64Encoded":true}`), "hello", ""},
		{"a body of 128 KB is sent", returns(`{"statusCode":200,"body":"` + strings.Repeat("x", 128<<10) + `"}`), strings.Repeat("x", 128<<10), ""},
		{"a larger body is a failure", returns(`{"statusCode":200,"body":"` + strings.Repeat("x", 128<<10+1) + `"}`), "", failure},
		{"a body that is not base64 is a failure", returns(`{"statusCode":200,"body":"%","isBase64Encoded":true}`), "", failure},
		{"a body that is not UTF-8 is a failure", returns(`{"statusCode":200,"body":"/w==","isBase64Encoded":true}`), "", failure},
		{"a response without statusCode is a failure", returns(`{"body":"hello"}`), "", failure},
		{"a statusCode out of range is a failure", returns(`{"statusCode":99}`), "", failure},
		{"null is a failure", returns(`null`), "", failure},
		{"a response that is not JSON is a failure", returns(`hello`), "", failure},
		{"an error of the function is a failure", gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
			return nil, errors.New("failed")
		}), "", failure},
		{"a panic of the function is a failure", gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
			panic("failed")
		}), "", failure},
		{"a function without a response is a failure", unavailable, "", failure},
		{"a timeout is a failure", gateway.FunctionFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), "", failure},
		{"a response over 6 MB is a failure", returns(`{"statusCode":200,"headers":{"x":"` + strings.Repeat("x", 6<<20) + `"}}`), "", failure},
		{"no route is forbidden", nil, "", "Forbidden"},
	}
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ids := make(chan string, 1)
				routes := map[string]gateway.Function{"$connect": accept(ids), "ping": returns(`{"statusCode":200,"body":"pong"}`)}
				if c.function != nil {
					routes["$default"] = c.function
				}
				r := start(t, gateway.Options{Jitter: jitter, Routes: routes, IntegrationTimeout: time.Second})
				conn := r.dial(t)
				id := receive(t, ids)
				write(t, conn, `{}`)
				got := read(t, conn)
				if c.message == "" {
					if diff := cmp.Diff(c.frame, got); diff != "" {
						t.Error(diff)
					}
				} else {
					var answer refused
					if err := json.Unmarshal([]byte(got), &answer); err != nil {
						t.Fatalf("%q: %v", got, err)
					}
					if answer.RequestID == "" {
						t.Error("the answer has no request id")
					}
					answer.RequestID = ""
					if diff := cmp.Diff(refused{Message: c.message, ConnectionID: id}, answer); diff != "" {
						t.Error(diff)
					}
				}

				write(t, conn, `{"method":"ping"}`)
				if got := read(t, conn); got != "pong" {
					t.Errorf("got %q, want pong: the connection stays open", got)
				}
			})
		}
	})
}

func TestRouteResponses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		responses []string
		frame     string
		want      []string
	}{
		{"an empty body is not sent", nil, `{"method":"empty"}`, nil},
		{"every route by default", nil, `{}`, []string{"$default {}"}},
		{"a route that is not listed", []string{"empty"}, `{}`, nil},
		{"a listed route", []string{"$default"}, `{}`, []string{"$default {}"}},
		{"an empty list", []string{}, `{}`, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, stop := startInMemory(gateway.Options{RouteResponses: c.responses, Routes: map[string]gateway.Function{
					"$default": echo, "empty": returns(`{"statusCode":200}`),
				}})
				conn := r.dial(t)
				var got []string
				done := make(chan struct{})
				go func() {
					defer close(done)
					for {
						_, text, err := conn.Read(context.Background())
						if err != nil {
							return
						}
						got = append(got, string(text))
					}
				}()
				write(t, conn, c.frame)
				synctest.Wait()
				stop()
				<-done
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestMocks(t *testing.T) {
	t.Parallel()
	const marker = "marker"
	for _, c := range []struct{ name, frame, want string }{
		{"a mock without a response is one-way", `{"method":"ping"}`, ""},
		{"a mock with a response answers", `{"method":"version"}`, `{"version":1}`},
		{"another method goes to $default", `{"method":"pong"}`, `$default {"method":"pong"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, stop := startInMemory(gateway.Options{
					RouteResponses: []string{"$default"}, Routes: map[string]gateway.Function{"$default": echo},
					Mocks: map[string]string{"ping": "", "version": `{"version":1}`},
				})
				defer stop()
				conn := r.dial(t)
				write(t, conn, c.frame)
				if c.want != "" {
					if diff := cmp.Diff(c.want, read(t, conn)); diff != "" {
						t.Error(diff)
					}
				}
				synctest.Wait()
				write(t, conn, marker)
				if got := read(t, conn); got != "$default "+marker {
					t.Errorf("got %q, which should not have been sent", got)
				}
			})
		})
	}
}

func TestMockOfDefault(t *testing.T) {
	t.Parallel()
	r := start(t, gateway.Options{Mocks: map[string]string{"$default": "unknown method"}})
	conn := r.dial(t)
	write(t, conn, `{}`)
	if got := read(t, conn); got != "unknown method" {
		t.Errorf("got %q", got)
	}
}

func TestConcurrentInvocations(t *testing.T) {
	t.Parallel()
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		release := make(chan struct{})
		r := start(t, gateway.Options{Jitter: jitter, Routes: map[string]gateway.Function{
			"slow": function(func(context.Context, request) (response, error) {
				<-release
				return response{StatusCode: 200, Body: "slow"}, nil
			}),
			"fast": function(func(context.Context, request) (response, error) {
				return response{StatusCode: 200, Body: "fast"}, nil
			}),
		}})
		conn := r.dial(t)
		write(t, conn, `{"method":"slow"}`)
		write(t, conn, `{"method":"fast"}`)
		if got := read(t, conn); got != "fast" {
			t.Errorf("got %q first, want fast", got)
		}
		close(release)
		if got := read(t, conn); got != "slow" {
			t.Errorf("got %q second, want slow", got)
		}
	})
}

func TestJitterDelay(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		act  func(t *testing.T, r *rig, id string, conn *websocket.Conn)
	}{
		{"a frame", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			write(t, conn, `{}`)
			read(t, conn)
		}},
		{"a post", func(t *testing.T, r *rig, id string, conn *websocket.Conn) {
			r.mustPost(t, id, "x")
			read(t, conn)
		}},
	}
	for _, c := range cases {
		for _, jitter := range []time.Duration{0, 10 * time.Second} {
			t.Run(fmt.Sprintf("%s with a jitter of %v", c.name, jitter), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ids := make(chan string, 1)
					r, stop := startInMemory(gateway.Options{Jitter: jitter, Routes: map[string]gateway.Function{
						"$connect": accept(ids), "$default": echo,
					}})
					defer stop()
					conn := r.dial(t)
					id := <-ids
					waits := make(map[time.Duration]bool)
					for range 5 {
						begin := time.Now()
						c.act(t, r, id, conn)
						wait := time.Since(begin)
						if wait < 0 || wait > jitter {
							t.Errorf("waited %v", wait)
						}
						waits[wait] = true
					}
					if random := len(waits) > 1; random != (jitter > 0) {
						t.Errorf("waited %v", waits)
					}
				})
			})
		}
	}
}

func TestJitterOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, stop := startInMemory(gateway.Options{Jitter: time.Second, Routes: map[string]gateway.Function{"$default": echo}})
		defer stop()
		conn := r.dial(t)
		var sent, got []string
		for i := range 50 {
			sent = append(sent, "$default "+strings.Repeat("x", i))
			write(t, conn, strings.Repeat("x", i))
		}
		for range sent {
			got = append(got, read(t, conn))
		}
		if cmp.Equal(sent, got) {
			t.Error("50 frames with random delays arrived in order")
		}
		slices.Sort(sent)
		slices.Sort(got)
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNewFunction(t *testing.T) {
	t.Parallel()
	double := gateway.NewFunction(func(_ context.Context, n int) ([]int, error) {
		if n < 0 {
			return nil, errors.New("negative")
		}
		return []int{n, n}, nil
	})
	var first []byte
	for _, c := range []struct {
		name, event, want string
		fails             bool
	}{
		{"an event", `1`, `[1,1]`, false},
		{"a second event", `2`, `[2,2]`, false},
		{"an event of another type", `"x"`, ``, true},
		{"an event that the handler rejects", `-1`, ``, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := double.Invoke(t.Context(), []byte(c.event))
			if string(got) != c.want || (err != nil) != c.fails {
				t.Errorf("got %s, %v", got, err)
			}
			if first == nil {
				first = got
			}
		})
	}
	if string(first) != `[1,1]` {
		t.Errorf("the first response was overwritten: %s", first)
	}
}
