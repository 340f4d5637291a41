package gateway_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/coder/websocket"

	"centrifuge/localstack/gateway"
)

// These tests run in a synctest bubble. Its clock advances when all goroutines
// block, so that the timeouts of AWS are tested exactly and without waiting.

func TestConnectionLifetime(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		// act runs every nine minutes, if not nil.
		act  func(t *testing.T, r *rig, id string, conn *websocket.Conn)
		want time.Duration
	}{
		{"ten minutes without messages", nil, 10 * time.Minute},
		{"two hours when the client sends", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			_ = conn.Write(t.Context(), websocket.MessageText, []byte(`{}`))
		}, 2 * time.Hour},
		{"two hours when the client sends to a mock integration", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			_ = conn.Write(t.Context(), websocket.MessageText, []byte(`{"method":"ping"}`))
		}, 2 * time.Hour},
		{"ten minutes when the client only receives", func(t *testing.T, r *rig, id string, _ *websocket.Conn) {
			_ = r.post(t, id, "x")
		}, 10 * time.Minute},
		{"ten minutes when the client only pings", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			_ = conn.Ping(t.Context())
		}, 10 * time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ids, ends := make(chan string, 1), make(chan websocket.CloseError, 1)
				r, stop := startInMemory(gateway.Options{Routes: map[string]gateway.Function{
					"$connect": accept(ids), "$default": returns(`{"statusCode":200}`), "$disconnect": recordClose(ends),
				}, Mocks: map[string]string{"ping": ""}})
				defer stop()
				conn := r.dial(t)
				begin := time.Now()
				id := <-ids
				over := make(chan struct{})
				go func() {
					defer close(over)
					for {
						if _, _, err := conn.Read(context.Background()); err != nil {
							if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
								t.Errorf("closed with %v, want 1001", err)
							}
							return
						}
					}
				}()
				for c.act != nil {
					select {
					case <-over:
					case <-time.After(9 * time.Minute):
						c.act(t, r, id, conn)
						continue
					}
					break
				}
				<-over
				if got := time.Since(begin); got != c.want {
					t.Errorf("lived %v, want %v", got, c.want)
				}
				if got := <-ends; got.Code != websocket.StatusGoingAway || got.Reason != "Going away" {
					t.Errorf("$disconnect got %v", got)
				}
			})
		})
	}
}

func TestSlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := make(chan string, 2)
		r, stop := startInMemory(gateway.Options{
			Buffer: 10_000, Routes: map[string]gateway.Function{"$connect": accept(ids)},
		})
		defer stop()
		slow := r.dial(t)
		slowID := <-ids
		fast := r.dial(t)
		fastID := <-ids

		// A pipe has no buffer: a write blocks until the client reads.
		var limit *types.LimitExceededException
		accepted := 0
		for {
			err := r.post(t, slowID, string(make([]byte, 936)))
			if errors.As(err, &limit) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			accepted++
		}
		if accepted != 10 {
			t.Errorf("%d posts of 1000 bytes, overhead included, were accepted before 429, want 10", accepted)
		}
		r.mustPost(t, fastID, "hello")
		if got := read(t, fast); got != "hello" {
			t.Errorf("the other client got %q", got)
		}

		for range accepted {
			read(t, slow)
		}
		synctest.Wait()
		r.mustPost(t, slowID, "again")
		if got := read(t, slow); got != "again" {
			t.Errorf("the slow client got %q after it had read", got)
		}
	})
}

func TestCloseTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids, ends := make(chan string, 1), make(chan websocket.CloseError, 1)
		r, stop := startInMemory(gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(ids), "$disconnect": recordClose(ends)}})
		defer stop()
		r.dial(t)
		r.mustPost(t, <-ids, "x")
		begin := time.Now()
		if got := <-ends; got.Code != websocket.StatusGoingAway {
			t.Errorf("ended with %v", got)
		}
		if got := time.Since(begin); got < 10*time.Minute || got > 10*time.Minute+10*time.Second {
			t.Errorf("lived %v, want ten minutes and up to the close timeout", got)
		}
	})
}

func TestFaultDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := make(chan string, 1)
		r, stop := startInMemory(gateway.Options{
			Routes: map[string]gateway.Function{"$connect": accept(ids)},
			Faults: func(gateway.Post) gateway.Fault { return gateway.Fault{Delay: time.Minute} },
		})
		defer stop()
		conn := r.dial(t)
		go drain(conn)
		begin := time.Now()
		r.mustPost(t, <-ids, "x")
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("the post took %v, want a minute", got)
		}
	})
}

// TestFaultHang makes a post that is not answered, gives it up after a minute, and makes
// another. The client gets the first only where it is delivered.
func TestFaultHang(t *testing.T) {
	t.Parallel()
	for deliver, want := range map[bool]string{false: "second", true: "first"} {
		synctest.Test(t, func(t *testing.T) {
			ids := make(chan string, 1)
			r, stop := startInMemory(gateway.Options{
				Routes: map[string]gateway.Function{"$connect": accept(ids)},
				Faults: func(p gateway.Post) gateway.Fault {
					return gateway.Fault{Hang: string(p.Data) == "first", Deliver: deliver}
				},
			})
			defer stop()
			conn := r.dial(t)
			id := <-ids
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			_, err := r.aws.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("first")})
			if got := time.Since(begin); err == nil || got != time.Minute {
				t.Errorf("the post ended after %v with error %v, want one after a minute", got, err)
			}
			r.mustPost(t, id, "second")
			if got := read(t, conn); got != want {
				t.Errorf("the client received %q, want %q", got, want)
			}
		})
	}
}
