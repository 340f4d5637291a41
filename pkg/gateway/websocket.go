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

// Connect handles $connect: API Gateway completes the handshake when the status
// is 200 and refuses it otherwise. "?project=ID" in the URL has the Origin
// checked at once.
func Connect(h *hub.Hub, log *slog.Logger) WebSocket {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		if e.RequestContext.EventType != eventConnect {
			return unknown(e), nil
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

// handshakeStatus is how a handshake ends.
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

// Disconnect handles $disconnect, which API Gateway sends on a best effort after
// a connection is over, and answers nobody.
func Disconnect(h *hub.Hub, log *slog.Logger) WebSocket {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		if e.RequestContext.EventType != eventDisconnect {
			return unknown(e), nil
		}
		err := h.Disconnect(ctx, e.RequestContext.ConnectionID)
		logInternal(ctx, log, e, err)
		return events.APIGatewayProxyResponse{StatusCode: handshakeStatus(err)}, nil
	}
}

// Auth handles the route auth.
func Auth(h *hub.Hub, log *slog.Logger) WebSocket {
	return route(log, classic.Envelope.Auth, func(ctx context.Context, connection string, a classic.Auth) (classic.Result, error) {
		return classic.Result{}, h.Authenticate(ctx, hub.Credentials{
			Connection: connection, Protocol: hub.Classic,
			Project: a.Project, User: a.User, Token: a.Token, Permissions: a.Permissions,
		})
	})
}

// Subscribe handles the route subscribe.
func Subscribe(h *hub.Hub, log *slog.Logger) WebSocket {
	return route(log, classic.Envelope.Subscribe, func(ctx context.Context, connection string, to hub.Selection) (classic.Result, error) {
		refused, err := h.Subscribe(ctx, connection, to)
		return classic.Result{Refused: refused}, err
	})
}

// Unsubscribe handles the route unsubscribe.
func Unsubscribe(h *hub.Hub, log *slog.Logger) WebSocket {
	return route(log, classic.Envelope.Unsubscribe, func(ctx context.Context, connection string, from hub.Selection) (classic.Result, error) {
		return classic.Result{}, h.Unsubscribe(ctx, connection, from)
	})
}

// Broadcast handles the route broadcast.
func Broadcast(h *hub.Hub, log *slog.Logger) WebSocket {
	return route(log, classic.Envelope.Broadcast, func(ctx context.Context, connection string, pub hub.Publication) (classic.Result, error) {
		return classic.Result{}, h.Broadcast(ctx, connection, pub)
	})
}

// Message handles $default: every frame whose method has no route. That is presence,
// and otherwise a mistake, which the reply names.
func Message(h *hub.Hub, log *slog.Logger) WebSocket {
	presence := route(log, classic.Envelope.Presence, func(ctx context.Context, connection string, ch hub.Channel) (classic.Result, error) {
		clients, err := h.ClientPresence(ctx, connection, ch.Category, ch.Name)
		return classic.Result{Presence: classic.Presence(clients)}, err
	})
	return func(ctx context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		if e, err := classic.Decode([]byte(r.Body)); err == nil && e.Method == classic.MethodPresence {
			return presence(ctx, r)
		}
		return unknown(r), nil
	}
}

// errLongReply: API Gateway takes no more.
var errLongReply = hub.ErrLimitExceeded.With("the answer is over 128 KB")

// route is what all routes of commands have in common: decode gives the params of
// a frame, and call carries it out.
func route[P any](
	log *slog.Logger,
	decode func(classic.Envelope) (P, error),
	call func(ctx context.Context, connection string, params P) (classic.Result, error),
) WebSocket {
	return func(ctx context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		e, err := classic.Decode([]byte(r.Body))
		if err != nil {
			return reply(classic.Refuse(err)), nil
		}
		params, err := decode(e)
		if err != nil {
			return reply(classic.Refuse(err)), nil
		}
		result, err := call(ctx, r.RequestContext.ConnectionID, params)
		logInternal(ctx, log, r, err)
		frame := classic.Reply(e, result, err)
		if len(frame) > hub.MaxMessageBytes {
			frame = classic.Reply(e, classic.Result{}, errLongReply)
		}
		return reply(frame), nil
	}
}

// reply is a route response. Its status must be 200: API Gateway answers any
// other one on the client's behalf.
func reply(frame []byte) events.APIGatewayProxyResponse {
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: string(frame)}
}

// unknown answers a frame that no route is for, and one that got to $connect or
// $disconnect by naming it as its method.
func unknown(r events.APIGatewayWebsocketProxyRequest) events.APIGatewayProxyResponse {
	e, err := classic.Decode([]byte(r.Body))
	if err != nil {
		return reply(classic.Refuse(err))
	}
	return reply(classic.Reply(e, classic.Result{}, classic.UnknownMethod(e.Method)))
}

// header finds a header whatever the case of its name: HTTP/2 clients send lower
// case, and API Gateway passes on what it got.
func header(headers map[string]string, name string) string {
	for key, value := range headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// logInternal logs what no client may see: the cause of a failure that is ours.
func logInternal(ctx context.Context, log *slog.Logger, e events.APIGatewayWebsocketProxyRequest, err error) {
	var known *hub.Error
	if err == nil || errors.As(err, &known) {
		return
	}
	log.ErrorContext(ctx, "command failed", "route", e.RequestContext.RouteKey, "request", e.RequestContext.RequestID,
		"connection", e.RequestContext.ConnectionID, "error", err)
}
