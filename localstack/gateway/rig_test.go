package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/coder/websocket"

	"centrifuge/localstack/gateway"
)

// testTimeout ends a test that hangs. No test measures with it.
const testTimeout = 30 * time.Second

// rig is a gateway behind a server, with clients for its APIs.
type rig struct {
	gateway *gateway.Gateway
	url     string // http://…
	client  *http.Client
	aws     *apigatewaymanagementapi.Client
}

// start serves a gateway on a real port until the test ends.
func start(t *testing.T, opts gateway.Options) *rig {
	t.Helper()
	gw := gateway.New(opts)
	server := httptest.NewServer(gw)
	t.Cleanup(server.Close)
	t.Cleanup(gw.Close)
	return newRig(gw, server.URL, server.Client())
}

// startInMemory serves a gateway over pipes, which have no buffers and work in a
// synctest bubble. The caller must call the returned function in the bubble.
func startInMemory(opts gateway.Options) (*rig, func()) {
	gw := gateway.New(opts)
	pipes := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: gw}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(pipes)
	}()
	transport := &http.Transport{DialContext: pipes.dial}
	return newRig(gw, "http://gateway", &http.Client{Transport: transport}), func() {
		gw.Close()
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	}
}

func newRig(gw *gateway.Gateway, url string, client *http.Client) *rig {
	return &rig{gw, url, client, apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint:     aws.String(url + "/dev"),
		Region:           "eu-central-1",
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:       client,
		RetryMaxAttempts: 1,
	})}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dial connects a WebSocket client.
func (r *rig) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, _, err := r.handshake(t, "/dev", nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return conn
}

// handshake tries to connect a WebSocket client.
func (r *rig) handshake(t *testing.T, path string, opts *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	if opts == nil {
		opts = &websocket.DialOptions{}
	}
	opts.HTTPClient = r.client
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, strings.Replace(r.url, "http", "ws", 1)+path, opts)
	if err == nil {
		conn.SetReadLimit(-1)
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, response, err
}

// post posts through the SDK.
func (r *rig) post(t *testing.T, id, data string) error {
	t.Helper()
	_, err := r.aws.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: &id, Data: []byte(data),
	})
	return err
}

func (r *rig) mustPost(t *testing.T, id, data string) {
	t.Helper()
	if err := r.post(t, id, data); err != nil {
		t.Fatalf("post %q: %v", data, err)
	}
}

// write sends one text frame.
func write(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// read returns the next message.
func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	kind, text, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if kind != websocket.MessageText {
		t.Errorf("got a %v frame, want text", kind)
	}
	return string(text)
}

// readClose reads until the connection is closed and returns the close frame.
func readClose(t *testing.T, conn *websocket.Conn) websocket.CloseError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for {
		_, _, err := conn.Read(ctx)
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) {
			t.Fatalf("the connection ended without a close frame: %v", err)
		}
		return closed
	}
}

// drain reads until the connection is closed.
func drain(conn *websocket.Conn) {
	for {
		if _, _, err := conn.Read(context.Background()); err != nil {
			return
		}
	}
}

// receive waits for a value.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(testTimeout):
		t.Fatalf("no value within %v", testTimeout)
		panic("unreachable")
	}
}

type (
	request  = events.APIGatewayWebsocketProxyRequest
	response = events.APIGatewayProxyResponse
)

// function returns the Function of a WebSocket handler.
func function(f func(context.Context, request) (response, error)) gateway.Function {
	return gateway.NewFunction(f)
}

// returns is a Function with a constant response.
func returns(payload string) gateway.Function {
	return gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
		return []byte(payload), nil
	})
}

// unavailable is a Function that Lambda could not run to its end.
var unavailable = gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
	return nil, fmt.Errorf("process exited: %w", gateway.ErrUnavailable)
})

// echo answers with its route and the message.
var echo = function(func(_ context.Context, r request) (response, error) {
	return response{StatusCode: 200, Body: r.RequestContext.RouteKey + " " + r.Body}, nil
})

// accept is a $connect that accepts every handshake and sends the connection id.
func accept(ids chan<- string) gateway.Function {
	return function(func(_ context.Context, r request) (response, error) {
		ids <- r.RequestContext.ConnectionID
		return response{StatusCode: 200}, nil
	})
}

// recordClose is a $disconnect that sends the close code and reason.
func recordClose(ends chan<- websocket.CloseError) gateway.Function {
	return function(func(_ context.Context, r request) (response, error) {
		ends <- websocket.CloseError{
			Code:   websocket.StatusCode(r.RequestContext.DisconnectStatusCode),
			Reason: *r.RequestContext.DisconnectReason,
		}
		return response{StatusCode: 200}, nil
	})
}

// withAndWithoutJitter runs a test in order and with jitter.
func withAndWithoutJitter(t *testing.T, test func(t *testing.T, jitter time.Duration)) {
	t.Run("without jitter", func(t *testing.T) { test(t, 0) })
	t.Run("with jitter", func(t *testing.T) { test(t, 5*time.Millisecond) })
}
