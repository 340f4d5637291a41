package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/centrifugo"
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
// and refuses it otherwise. With "?project=ID" in the URL the Origin is checked here,
// unless "&origin=later" leaves it to the login. The first subprotocol that the client offers is accepted: without one in the answer
// browsers close the connection. It has no meaning.
func Connect(h *hub.Hub, log *slog.Logger) WebSocket {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		ctx, cancel := limit(ctx)
		defer cancel()
		if e.RequestContext.EventType != eventConnect {
			return serve(log, nil)(ctx, e) // a frame whose method is the name of this route
		}
		err := h.Connect(ctx, hub.Handshake{
			Connection:  e.RequestContext.ConnectionID,
			Origin:      header(e.Headers, "Origin"),
			Project:     e.QueryStringParameters["project"],
			OriginLater: e.QueryStringParameters["origin"] == "later",
		})
		logError(ctx, log, e, err)
		response := events.APIGatewayProxyResponse{StatusCode: handshakeStatus(err)}
		if offered, _, _ := strings.Cut(header(e.Headers, subprotocolHeader), ","); err == nil && isToken(strings.TrimSpace(offered)) {
			response.Headers = map[string]string{subprotocolHeader: strings.TrimSpace(offered)}
		}
		return response, nil
	}
}

// subprotocolHeader lists the subprotocols that a client offers, and names the one that
// the server accepts.
const subprotocolHeader = "Sec-WebSocket-Protocol"

// isToken reports whether s is a token of HTTP (RFC 9110), as a subprotocol is.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
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
			return serve(log, nil)(ctx, e) // a frame whose method is the name of this route
		}
		err := h.Disconnect(ctx, e.RequestContext.ConnectionID, ending(e))
		logError(ctx, log, e, err)
		return events.APIGatewayProxyResponse{StatusCode: handshakeStatus(err)}, nil
	}
}

// ending is why a connection is over, as far as API Gateway says.
func ending(e events.APIGatewayWebsocketProxyRequest) hub.Ending {
	why := hub.Ending{Code: int(e.RequestContext.DisconnectStatusCode)}
	if reason := e.RequestContext.DisconnectReason; reason != nil {
		why.Reason = *reason
	}
	return why
}

// Auth handles the route auth.
func Auth(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodAuth: command(classic.Envelope.Auth,
		func(ctx context.Context, cmd hub.Command, a classic.Auth) (classic.Result, error) {
			refused, err := h.Authenticate(ctx, hub.Credentials{
				Command: cmd, Protocol: hub.Classic, Batch: a.Batch,
				Project: a.Project, User: a.User, Token: a.Token, Permissions: a.Permissions,
			})
			return classic.Result{Refused: refused}, err
		})})
}

// Subscribe handles the route subscribe.
func Subscribe(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodSubscribe: command(classic.Envelope.Subscribe,
		func(ctx context.Context, cmd hub.Command, to []hub.Channel) (classic.Result, error) {
			refused, err := h.Subscribe(ctx, cmd, to)
			return classic.Result{Refused: refused}, err
		})})
}

// Unsubscribe handles the route unsubscribe.
func Unsubscribe(h *hub.Hub, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodUnsubscribe: command(classic.Envelope.Unsubscribe,
		func(ctx context.Context, cmd hub.Command, from []hub.Channel) (classic.Result, error) {
			return classic.Result{}, h.Unsubscribe(ctx, cmd, from)
		})})
}

// Broadcast handles the route broadcast.
func Broadcast(h *hub.Publisher, log *slog.Logger) WebSocket {
	return serve(log, commands{classic.MethodBroadcast: command(classic.Envelope.Broadcast,
		func(ctx context.Context, cmd hub.Command, b classic.Broadcast) (classic.Result, error) {
			return classic.Result{}, h.Broadcast(ctx, cmd, b.Channel, b.Data)
		})})
}

// commands are the commands of a route, by method.
type commands map[string]func(ctx context.Context, cmd hub.Command, e classic.Envelope) (classic.Result, error)

// command decodes the params of a frame and calls the hub.
func command[P any](
	decode func(classic.Envelope) (P, error),
	call func(ctx context.Context, cmd hub.Command, params P) (classic.Result, error),
) func(context.Context, hub.Command, classic.Envelope) (classic.Result, error) {
	return func(ctx context.Context, cmd hub.Command, e classic.Envelope) (classic.Result, error) {
		params, err := decode(e)
		if err != nil {
			return classic.Result{}, err
		}
		return call(ctx, cmd, params)
	}
}

// received is the command that a frame carries.
func received(r events.APIGatewayWebsocketProxyRequest) hub.Command {
	cmd := hub.Command{Connection: r.RequestContext.ConnectionID, Bytes: len(r.Body)}
	if at := r.RequestContext.RequestTimeEpoch; at > 0 {
		cmd.Received = time.UnixMilli(at)
	}
	return cmd
}

// errLongReply: the reply is larger than API Gateway allows.
var errLongReply = hub.ErrLimitExceeded.With("the answer is over 128 KB")

// serve decodes a frame, runs the command of its method and encodes the reply.
func serve(log *slog.Logger, c commands) WebSocket {
	return func(ctx context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		ctx, cancel := limit(ctx)
		defer cancel()
		e, err := classic.Decode([]byte(r.Body))
		var result classic.Result
		if err == nil {
			if run, known := c[e.Method]; known {
				result, err = run(ctx, received(r), e)
			} else {
				err = classic.UnknownMethod(e.Method)
			}
		}
		logError(ctx, log, r, err)
		logRefusals(ctx, log, r, result.Refused)
		frame := classic.Reply(e, result, err)
		if len(frame) > hub.MaxMessageBytes {
			// The names of refused channels are necessary, the reasons are not.
			for i := range result.Refused {
				result.Refused[i].Reason = nil
			}
			frame = classic.Reply(e, result, err)
		}
		if len(frame) > hub.MaxMessageBytes {
			frame = classic.Reply(e, classic.Result{}, errLongReply)
		}
		return reply(frame), nil
	}
}

// reply is a route response. Its status is always 200: the frame carries the error.
func reply(frame []byte) events.APIGatewayProxyResponse {
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: string(frame)}
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

// logError logs why a command failed or was refused: the cause of an internal failure,
// which no client may see, or what the client was answered. Refusals are at debug, which
// is off by default on AWS: the owner pays for the log, and clients cause them at will.
func logError(ctx context.Context, log *slog.Logger, e events.APIGatewayWebsocketProxyRequest, err error) {
	if err == nil {
		return
	}
	log = log.With("route", e.RequestContext.RouteKey, "event_request", e.RequestContext.RequestID, "connection", e.RequestContext.ConnectionID)
	var (
		known *hub.Error
		ended *hub.Disconnection
		frame *centrifugo.FrameError
		other *hub.ApplicationError
	)
	switch {
	case errors.As(err, &known):
		log.DebugContext(ctx, "command refused", "code", known.Code, "error", known.Text())
	case errors.As(err, &ended):
		log.DebugContext(ctx, "connection refused", "code", ended.Code, "error", err)
	case errors.As(err, &frame):
		log.DebugContext(ctx, "frame refused", "error", err)
	case errors.As(err, &other):
		log.DebugContext(ctx, "command refused by the application", "code", other.Code, "error", other.Message)
	default:
		log.ErrorContext(ctx, "command failed", "error", err)
	}
}

// maxLoggedRefusals limits the lines about one subscribe.
const maxLoggedRefusals = 10

// logRefusals logs the first channels that a subscribe was refused.
func logRefusals(ctx context.Context, log *slog.Logger, e events.APIGatewayWebsocketProxyRequest, refused []hub.Refusal) {
	for _, r := range refused[:min(len(refused), maxLoggedRefusals)] {
		log.DebugContext(ctx, "subscribe refused", "event_request", e.RequestContext.RequestID, "connection", e.RequestContext.ConnectionID,
			"project", r.Channel.Project, "channel", r.Channel.String(), "code", r.Reason.Code, "error", r.Reason.Text())
	}
}
