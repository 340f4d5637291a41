package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/classic"
)

// WebSocket is the handler of a WebSocket route, for lambda.Start.
type WebSocket func(context.Context, events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error)

// The event types of a WebSocket API.
const (
	eventConnect    = "CONNECT"
	eventDisconnect = "DISCONNECT"
)

// Connect handles $connect. API Gateway completes the handshake when the status is 200
// and refuses it otherwise. With "?project=ID" in the URL the Origin is checked here.
func Connect(h *hub.Hub, log *slog.Logger) WebSocket {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		ctx, cancel := limit(ctx)
		defer cancel()
		if e.RequestContext.EventType != eventConnect {
			return refuseFrame(e), nil
		}
		err := h.Connect(ctx, hub.Handshake{
			Connection: e.RequestContext.ConnectionID,
			Origin:     header(e.Headers, "Origin"),
			Project:    e.QueryStringParameters["project"],
		})
		logInternal(ctx, log, e, err)
		return events.APIGatewayProxyResponse{StatusCode: handshakeStatus(err)}, nil
	}
}

// handshakeStatus is the status that ends a handshake.
func handshakeStatus(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, hub.ErrPermissionDenied):
		return http.StatusForbidden
	case errors.Is(err, hub.ErrProjectNotFound):
		return http.StatusNotFound
	case errors.Is(err, hub.ErrLimitExceeded), errors.Is(err, hub.ErrBadRequest):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// Disconnect handles $disconnect, which API Gateway sends on a best effort after a
// connection is over. API Gateway ignores the response.
func Disconnect(h *hub.Hub, log *slog.Logger) WebSocket {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		ctx, cancel := limit(ctx)
		defer cancel()
		if e.RequestContext.EventType != eventDisconnect {
			return refuseFrame(e), nil
		}
		err := h.Disconnect(ctx, e.RequestContext.ConnectionID)
		logInternal(ctx, log, e, err)
		return events.APIGatewayProxyResponse{StatusCode: handshakeStatus(err)}, nil
	}
}

// Auth handles the route auth.
func Auth(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodAuth: command(classic.Envelope.Auth,
		func(ctx context.Context, connection string, a classic.Auth) (classic.Result, error) {
			return classic.Result{}, h.Authenticate(ctx, hub.Credentials{
				Connection: connection, Protocol: hub.Classic,
				Project: a.Project, User: a.User, Token: a.Token, Permissions: a.Permissions,
			})
		})})
}

// Subscribe handles the route subscribe.
func Subscribe(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodSubscribe: command(classic.Envelope.Subscribe,
		func(ctx context.Context, connection string, to []hub.Channel) (classic.Result, error) {
			refused, err := h.Subscribe(ctx, connection, to)
			return classic.Result{Refused: refused}, err
		})})
}

// Unsubscribe handles the route unsubscribe.
func Unsubscribe(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodUnsubscribe: command(classic.Envelope.Unsubscribe,
		func(ctx context.Context, connection string, from []hub.Channel) (classic.Result, error) {
			return classic.Result{}, h.Unsubscribe(ctx, connection, from)
		})})
}

// Broadcast handles the route broadcast.
func Broadcast(h *hub.Publisher, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodBroadcast: command(classic.Envelope.Broadcast,
		func(ctx context.Context, connection string, b classic.Broadcast) (classic.Result, error) {
			return classic.Result{}, h.Broadcast(ctx, connection, b.Channel, b.Data)
		})})
}

// Message handles $default: every frame whose method has no route of its own.
func Message(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodPresence: command(classic.Envelope.Presence,
		func(ctx context.Context, connection string, ch hub.Channel) (classic.Result, error) {
			clients, err := h.ClientPresence(ctx, connection, ch)
			return classic.Result{Presence: classic.Presence(clients)}, err
		})})
}

// commands are the commands of a route, by method.
type commands map[string]func(ctx context.Context, connection string, e classic.Envelope) (frame []byte, err error)

// command decodes the params of a frame, calls the hub and encodes the reply. It
// returns the error of the call too.
func command[P any](
	decode func(classic.Envelope) (P, error),
	call func(ctx context.Context, connection string, params P) (classic.Result, error),
) func(context.Context, string, classic.Envelope) ([]byte, error) {
	return func(ctx context.Context, connection string, e classic.Envelope) ([]byte, error) {
		params, err := decode(e)
		if err != nil {
			return classic.Refuse(err), nil
		}
		result, err := call(ctx, connection, params)
		frame := classic.Reply(e, result, err)
		if len(frame) > hub.MaxMessageBytes {
			frame = classic.Reply(e, classic.Result{}, errLongReply)
		}
		return frame, err
	}
}

// errLongReply: the reply is larger than API Gateway allows.
var errLongReply = hub.ErrLimitExceeded.With("the answer is over 128 KB")

// serve decodes a frame and runs the command of its method.
func serve(log *slog.Logger, c commands) WebSocket {
	return func(ctx context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		ctx, cancel := limit(ctx)
		defer cancel()
		e, err := classic.Decode([]byte(r.Body))
		if err != nil {
			return reply(classic.Refuse(err)), nil
		}
		run, known := c[e.Method]
		if !known {
			return reply(classic.Reply(e, classic.Result{}, classic.UnknownMethod(e.Method))), nil
		}
		frame, err := run(ctx, r.RequestContext.ConnectionID, e)
		logInternal(ctx, log, r, err)
		return reply(frame), nil
	}
}

// reply is a route response. Its status is always 200: the frame carries the error.
func reply(frame []byte) events.APIGatewayProxyResponse {
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: string(frame)}
}

// refuseFrame answers a frame whose method is "$connect" or "$disconnect": API Gateway
// routes it there.
func refuseFrame(r events.APIGatewayWebsocketProxyRequest) events.APIGatewayProxyResponse {
	e, err := classic.Decode([]byte(r.Body))
	if err != nil {
		return reply(classic.Refuse(err))
	}
	return reply(classic.Reply(e, classic.Result{}, classic.UnknownMethod(e.Method)))
}

// header finds a header whatever the case of its name: API Gateway passes on the case
// that the client sent.
func header(headers map[string]string, name string) string {
	for key, value := range headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// logInternal logs the cause of an internal failure, which no client may see.
func logInternal(ctx context.Context, log *slog.Logger, e events.APIGatewayWebsocketProxyRequest, err error) {
	var known *hub.Error
	if err == nil || errors.As(err, &known) {
		return
	}
	log.ErrorContext(ctx, "command failed", "route", e.RequestContext.RouteKey, "request", e.RequestContext.RequestID,
		"connection", e.RequestContext.ConnectionID, "error", err)
}
