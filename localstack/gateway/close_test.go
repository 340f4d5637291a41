package gateway_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
)

// fragments sends one message as frames of these sizes and an empty final frame.
func fragments(t *testing.T, conn *websocket.Conn, kind websocket.MessageType, sizes ...int) {
	t.Helper()
	w, err := conn.Writer(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		// The gateway may close the connection before the last fragment.
		if _, err := w.Write([]byte(strings.Repeat("x", size))); err != nil {
			return
		}
	}
	_ = w.Close()
}

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	const kb = 1 << 10
	cases := []struct {
		name string
		act  func(t *testing.T, r *rig, id string, conn *websocket.Conn)
		want websocket.CloseError // for the client and for $disconnect
	}{
		{"a binary frame", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			fragments(t, conn, websocket.MessageBinary, 1)
		}, websocket.CloseError{Code: 1003, Reason: "Binary frames are not supported"}},
		{"a frame over 32 KB", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			write(t, conn, strings.Repeat("x", 32*kb+1))
		}, websocket.CloseError{Code: 1009, Reason: "Frame exceeds 32 KB"}},
		{"a frame of a megabyte", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			_ = conn.Write(t.Context(), websocket.MessageText, make([]byte, kb*kb))
		}, websocket.CloseError{Code: 1009, Reason: "Frame exceeds 32 KB"}},
		{"a fragment over 32 KB", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			fragments(t, conn, websocket.MessageText, 1, 33*kb)
		}, websocket.CloseError{Code: 1009, Reason: "Frame exceeds 32 KB"}},
		{"a message over 128 KB in frames of 32", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			fragments(t, conn, websocket.MessageText, 32*kb, 32*kb, 32*kb, 32*kb, 1)
		}, websocket.CloseError{Code: 1009, Reason: "Message exceeds 128 KB"}},
		{"text that is not UTF-8", func(t *testing.T, _ *rig, _ string, conn *websocket.Conn) {
			write(t, conn, "\xff")
		}, websocket.CloseError{Code: 1007, Reason: "Text is not UTF-8"}},
		{"DeleteConnection", func(t *testing.T, r *rig, id string, _ *websocket.Conn) {
			if _, err := r.aws.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id}); err != nil {
				t.Error(err)
			}
		}, websocket.CloseError{Code: 1000}},
		{"Close", func(_ *testing.T, r *rig, _ string, _ *websocket.Conn) {
			go r.gateway.Close()
		}, websocket.CloseError{Code: 1001, Reason: "Going away"}},
	}
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ids, ends := make(chan string, 1), make(chan websocket.CloseError, 2)
				r := start(t, gateway.Options{Jitter: jitter, Routes: map[string]gateway.Function{
					"$connect": accept(ids), "$disconnect": recordClose(ends),
				}})
				conn := r.dial(t)
				id := receive(t, ids)
				c.act(t, r, id, conn)
				if diff := cmp.Diff(c.want, readClose(t, conn)); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(c.want, receive(t, ends)); diff != "" {
					t.Error("$disconnect", diff)
				}
				var gone *types.GoneException
				if err := r.post(t, id, "too late"); !errors.As(err, &gone) {
					t.Errorf("post after the close: %v, want GoneException", err)
				}
				r.gateway.Close()
				if len(ends) > 0 {
					t.Error("$disconnect was invoked twice")
				}
			})
		}
	})
}

func TestDisconnectReason(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		close func(*websocket.Conn)
		want  websocket.CloseError
	}{
		{"a close frame with a code", func(c *websocket.Conn) { _ = c.Close(4001, "bye") }, websocket.CloseError{Code: 4001, Reason: "bye"}},
		{"a close frame without a code", func(c *websocket.Conn) { _ = c.Close(websocket.StatusNoStatusRcvd, "") },
			websocket.CloseError{Code: 1005, Reason: "Client-side close frame status not set"}},
		{"no close frame", func(c *websocket.Conn) { _ = c.CloseNow() },
			websocket.CloseError{Code: 1006, Reason: "Connection closed abnormally"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ends := make(chan websocket.CloseError, 1)
			r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$disconnect": recordClose(ends)}})
			c.close(r.dial(t))
			if diff := cmp.Diff(c.want, receive(t, ends)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLargestFrameAndMessage(t *testing.T) {
	t.Parallel()
	const kb = 1 << 10
	cases := []struct {
		name  string
		sizes []int
	}{
		{"one frame of 32 KB", []int{32 * kb}},
		{"128 KB in frames of 32", []int{32 * kb, 32 * kb, 32 * kb, 32 * kb}},
		{"128 KB in many small frames", repeatSize(128, kb)},
	}
	got := make(chan int, 1)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{
		"$default": function(func(_ context.Context, r request) (response, error) {
			got <- len(r.Body)
			return response{StatusCode: 200}, nil
		}),
	}})
	conn := r.dial(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sum := 0
			for _, size := range c.sizes {
				sum += size
			}
			fragments(t, conn, websocket.MessageText, c.sizes...)
			if n := receive(t, got); n != sum {
				t.Errorf("got %d bytes, want %d", n, sum)
			}
		})
	}
}

func repeatSize(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

func TestPing(t *testing.T) {
	t.Parallel()
	r := start(t, gateway.Options{})
	conn := r.dial(t)
	conn.CloseRead(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		t.Error(err)
	}
}

func TestPostBeforeDeleteConnection(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 1)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(ids)}})
	conn := r.dial(t)
	id := receive(t, ids)
	r.mustPost(t, id, "last message")
	if _, err := r.aws.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); got != "last message" {
		t.Errorf("got %q", got)
	}
	readClose(t, conn)
}

func TestLoseDisconnect(t *testing.T) {
	t.Parallel()
	ids, ends, asked := make(chan string, 1), make(chan websocket.CloseError, 1), make(chan string, 1)
	r := start(t, gateway.Options{
		Routes:         map[string]gateway.Function{"$connect": accept(ids), "$disconnect": recordClose(ends)},
		LoseDisconnect: func(id string) bool { asked <- id; return true },
	})
	_ = r.dial(t).Close(websocket.StatusNormalClosure, "")
	if got, want := receive(t, asked), receive(t, ids); got != want {
		t.Errorf("LoseDisconnect got connection %q, want %q", got, want)
	}
	r.gateway.Close()
	if len(ends) > 0 {
		t.Error("$disconnect was invoked")
	}
}

func TestCloseWaitsForInvocations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var finished atomic.Int32
		slow := gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
			<-release
			finished.Add(1)
			return []byte(`{"statusCode":200}`), nil
		})
		r, stop := startInMemory(gateway.Options{
			Routes: map[string]gateway.Function{"$default": slow, "$disconnect": slow},
			HTTP:   []gateway.HTTPRoute{{Path: "$default", Function: slow}},
		})
		defer stop()
		conn := r.dial(t)
		write(t, conn, `{}`)
		answered := make(chan int, 1)
		go func() {
			response, err := r.client.Get(r.url + "/")
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			answered <- response.StatusCode
		}()
		synctest.Wait()
		go drain(conn)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.gateway.Close()
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while functions were running")
		default:
		}
		close(release)
		<-closed
		if got := finished.Load(); got != 3 {
			t.Errorf("%d of 3 functions had finished", got)
		}
		if got := <-answered; got != 200 {
			t.Errorf("the running request got %d", got)
		}

		if _, response, _ := r.handshake(t, "/dev", nil); response == nil || response.StatusCode != 503 {
			t.Errorf("a handshake after Close: %v, want 503", response)
		}
		response, err := r.client.Get(r.url + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 503 {
			t.Errorf("a request after Close got %d, want 503", response.StatusCode)
		}
		r.gateway.Close()
	})
}

func TestFunctionContextOutlivesClient(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"an HTTP request": "/", "a handshake": "/dev"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left, seen := make(chan struct{}), make(chan error, 1)
				waits := gateway.FunctionFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
					<-left
					seen <- ctx.Err()
					return []byte(`{"statusCode":200}`), nil
				})
				r, stop := startInMemory(gateway.Options{
					Routes: map[string]gateway.Function{"$connect": waits},
					HTTP:   []gateway.HTTPRoute{{Path: "$default", Function: waits}},
				})
				defer stop()
				ctx, cancel := context.WithCancel(t.Context())
				failed := make(chan error, 1)
				go func() {
					_, _, err := websocket.Dial(ctx, r.url+path, &websocket.DialOptions{HTTPClient: r.client})
					failed <- err
				}()
				synctest.Wait()
				cancel()
				if err := <-failed; !errors.Is(err, context.Canceled) {
					t.Errorf("the client got %v", err)
				}
				synctest.Wait()
				close(left)
				if err := <-seen; err != nil {
					t.Errorf("the context of the function has ended: %v", err)
				}
			})
		})
	}
}

// A synctest bubble fails when a goroutine is left. This test checks the same with
// real sockets, which a bubble cannot have.
func TestCloseEndsGoroutines(t *testing.T) {
	before := goroutines()
	ids := make(chan string, 20)
	r := start(t, gateway.Options{Jitter: time.Millisecond, Routes: map[string]gateway.Function{"$connect": accept(ids), "$default": echo}})
	for range 20 {
		conn := r.dial(t)
		write(t, conn, `{}`)
		read(t, conn)
		r.mustPost(t, receive(t, ids), "x")
		go drain(conn)
	}
	if got := r.gateway.Connections(); got != 20 {
		t.Errorf("%d connections, want 20", got)
	}
	r.gateway.Close()
	if got := r.gateway.Connections(); got != 0 {
		t.Errorf("%d connections after Close", got)
	}
	deadline := time.Now().Add(testTimeout)
	for goroutines() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines of the gateway are left, want %d as before", goroutines(), before)
		}
		runtime.Gosched()
	}
}

// goroutines counts the methods of the gateway on the stacks of all goroutines.
func goroutines() int {
	buffer := make([]byte, 4<<20)
	stacks := string(buffer[:runtime.Stack(buffer, true)])
	return strings.Count(stacks, "localstack/gateway.(*socket)") + strings.Count(stacks, "localstack/gateway.(*Gateway)")
}
