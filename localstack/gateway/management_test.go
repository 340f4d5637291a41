package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
)

// outcome is the status and the code of an error of the SDK.
type outcome struct {
	Status int
	Code   string
}

func outcomeOf(err error) outcome {
	var o outcome
	if err == nil {
		return outcome{Status: 200}
	}
	var response interface{ HTTPStatusCode() int }
	if errors.As(err, &response) {
		o.Status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		o.Code = api.ErrorCode()
	}
	return o
}

func TestPostErrors(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 1)
	faults := map[string]gateway.Fault{
		"400": {Status: 400}, "410": {Status: 410}, "413": {Status: 413}, "429": {Status: 429}, "403": {Status: 403},
		"500": {Status: 500}, "503": {Status: 503}, "delivered": {Status: 503, Deliver: true}, "aborted": {Abort: true},
	}
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		r := start(t, gateway.Options{
			Jitter: jitter, Routes: map[string]gateway.Function{"$connect": accept(ids)},
			Faults: func(p gateway.Post) gateway.Fault { return faults[string(p.Data)] },
		})
		conn := r.dial(t)
		id := receive(t, ids)
		big := strings.Repeat("x", 128<<10)
		cases := []struct {
			name, id, data string
			want           outcome
			delivered      string
		}{
			{"a post is delivered", id, "hello", outcome{200, ""}, "hello"},
			{"128 KB are delivered", id, big, outcome{200, ""}, big},
			{"more than 128 KB is refused", id, big + "x", outcome{413, "PayloadTooLargeException"}, ""},
			{"an unknown id is gone", "L0SM9cOFvHcCIhw=", "hello", outcome{410, "GoneException"}, ""},
			{"a malformed id is gone", "a/b c?d#e%", "hello", outcome{410, "GoneException"}, ""},
			{"data that is not UTF-8 is refused", id, "\xff", outcome{400, "BadRequestException"}, ""},
			{"an injected 400", id, "400", outcome{400, "BadRequestException"}, ""},
			{"an injected 410", id, "410", outcome{410, "GoneException"}, ""},
			{"an injected 413", id, "413", outcome{413, "PayloadTooLargeException"}, ""},
			{"an injected 429", id, "429", outcome{429, "LimitExceededException"}, ""},
			{"an injected 403", id, "403", outcome{403, "ForbiddenException"}, ""},
			{"an injected 500", id, "500", outcome{500, "InternalServerError"}, ""},
			{"an injected 503", id, "503", outcome{503, "InternalServerError"}, ""},
			{"an injected 503 after delivery", id, "delivered", outcome{503, "InternalServerError"}, "delivered"},
			{"an injected abort", id, "aborted", outcome{0, ""}, ""},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				if diff := cmp.Diff(c.want, outcomeOf(r.post(t, c.id, c.data))); diff != "" {
					t.Error(diff)
				}
				// The next message must be the marker: nothing else was delivered.
				r.mustPost(t, id, "marker")
				if c.delivered != "" {
					if diff := cmp.Diff(c.delivered, read(t, conn)); diff != "" {
						t.Error(diff)
					}
				}
				if got := read(t, conn); got != "marker" {
					t.Errorf("got %q, which should not have been delivered", got)
				}
			})
		}
	})
}

func TestGetConnection(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 1)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(ids)}})
	before := time.Now().Add(-time.Millisecond) // the API has milliseconds
	conn := r.dial(t)
	id := receive(t, ids)
	r.mustPost(t, id, "x")
	read(t, conn)
	got, err := r.aws.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if got.ConnectedAt.Before(before) || got.LastActiveAt.Before(*got.ConnectedAt) || got.LastActiveAt.After(time.Now()) {
		t.Errorf("connected at %v, last active at %v, now is %v", got.ConnectedAt, got.LastActiveAt, time.Now())
	}
	if *got.Identity.SourceIp != "127.0.0.1" || !strings.HasPrefix(*got.Identity.UserAgent, "Go-http-client") {
		t.Errorf("identity is %v %v", *got.Identity.SourceIp, *got.Identity.UserAgent)
	}

	unknown := "L0SM9cOFvHcCIhw="
	var gone *types.GoneException
	if _, err := r.aws.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &unknown}); !errors.As(err, &gone) {
		t.Errorf("get: %v, want GoneException", err)
	}
	if _, err := r.aws.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &unknown}); !errors.As(err, &gone) {
		t.Errorf("delete: %v, want GoneException", err)
	}
}

func TestManagementRequests(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 1)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(ids)}})
	r.dial(t)
	id := receive(t, ids)
	const signed = "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=y"
	cases := []struct {
		name, method, authorization string
		body                        io.Reader
		status                      int
	}{
		{"an unsigned post", "POST", "", strings.NewReader("x"), 403},
		{"another authorization scheme", "POST", "Bearer x", strings.NewReader("x"), 403},
		{"an unsigned get", "GET", "", nil, 403},
		{"an unsigned delete", "DELETE", "", nil, 403},
		{"an unknown method", "PUT", signed, strings.NewReader("x"), 403},
		{"a signed post", "POST", signed, strings.NewReader("x"), 200},
		{"signed, without Content-Length", "POST", signed, io.MultiReader(strings.NewReader("x")), 200},
		{"too large, without Content-Length", "POST", signed, io.MultiReader(strings.NewReader(strings.Repeat("x", 128<<10+1))), 413},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, r.url+"/dev/@connections/"+url.PathEscape(id), c.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", c.authorization)
			response, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode != c.status {
				t.Errorf("got %d %s, want %d", response.StatusCode, body, c.status)
			}
			if c.status == 403 && string(body) != `{"message":"Missing Authentication Token"}` {
				t.Errorf("got body %s", body)
			}
		})
	}
}

func TestPostFragmentation(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 1)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(ids)}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testTimeout))
	fmt.Fprint(conn, "GET /dev HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(conn)
	if _, err := http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	message := strings.Repeat("0123456789", 10_000)
	r.mustPost(t, receive(t, ids), message)

	var got strings.Builder
	for first, last := true, false; !last; first = false {
		head := make([]byte, 2)
		if _, err := io.ReadFull(in, head); err != nil {
			t.Fatal(err)
		}
		last = head[0]&0x80 != 0
		if opcode := head[0] & 0x0f; first != (opcode == 1) || !first && opcode != 0 {
			t.Errorf("a frame has opcode %d", opcode)
		}
		size := int(head[1])
		if size == 126 {
			if _, err := io.ReadFull(in, head); err != nil {
				t.Fatal(err)
			}
			size = int(head[0])<<8 | int(head[1])
		}
		if size > 32<<10 {
			t.Fatalf("a frame has %d bytes", size)
		}
		if _, err := io.CopyN(&got, in, int64(size)); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != message {
		t.Errorf("got %d bytes, want the message of %d", got.Len(), len(message))
	}
}

func TestPostOrder(t *testing.T) {
	t.Parallel()
	const clients, posts = 20, 50
	ids := make(chan string, clients)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(ids)}})
	var all sync.WaitGroup
	for range clients {
		conn := r.dial(t)
		id := receive(t, ids)
		all.Go(func() {
			for i := range posts {
				if err := r.post(t, id, fmt.Sprint(i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for i := range posts {
				_, got, err := conn.Read(t.Context())
				if err != nil || string(got) != fmt.Sprint(i) {
					t.Errorf("got %q, %v, want %d", got, err, i)
					return
				}
			}
		})
	}
	all.Wait()
}
