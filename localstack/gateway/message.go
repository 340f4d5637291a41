package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

// handleMessage invokes the function for a message that was received from a client, and
// sends the response to the client.
//
// The body of the response is sent whatever its statusCode is. AWS does not document
// that; it is reported:
// yai333/React-Chat-App-using-AWS-API-Gateway-Websocket-and-Serverless-Framework#2.
func (g *Gateway) handleMessage(s *socket, body []byte, received time.Time) {
	route, function := g.selectRoute(body)
	if mock, ok := g.opts.Mocks[route]; ok {
		g.applyJitter(context.Background())
		if mock != "" {
			g.reply(s, route, []byte(mock))
		}
		return
	}
	event := g.messageEvent(s, route, body, received)
	if function == nil {
		g.reply(s, route, errorBody("Forbidden", s.id, event.RequestContext.RequestID))
		return
	}
	response, err := g.invokeProxy(context.Background(), function, event)
	if err == nil && g.routeResponses[route] {
		err = response.checkMessage()
	}
	if err != nil {
		// Reported for timeouts (Kludex/mangum#128) and for errors, also on routes without
		// a route response (aws-samples/simple-websockets-chat-app#42).
		g.logFailure(err, "route", route, "connection", s.id)
		g.reply(s, route, errorBody("Internal server error", s.id, event.RequestContext.RequestID))
		return
	}
	if g.routeResponses[route] && len(response.body) > 0 {
		g.reply(s, route, response.body)
	}
}

// selectRoute evaluates the route selection expression for a message. The function
// is nil when the route has a mock integration, and when no route matches. A message
// cannot select $connect or $disconnect.
func (g *Gateway) selectRoute(body []byte) (string, Function) {
	if name, ok := stringMember(body, g.opts.SelectBy); ok && name != "" && name[0] != '$' {
		_, mock := g.opts.Mocks[name]
		if function := g.opts.Routes[name]; function != nil || mock {
			return name, function
		}
	}
	return "$default", g.opts.Routes["$default"]
}

// stringMember returns a string member of a JSON object. Its name is case-sensitive,
// unlike the fields of structs in encoding/json.
func stringMember(body []byte, name string) (string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return "", false
	}
	value := object[name]
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return "", false
	}
	return text, true
}

// reply queues a frame for the client that sent the message.
func (g *Gateway) reply(s *socket, route string, frame []byte) {
	if err := s.post(frame); errors.Is(err, errQueueFull) {
		g.log.Warn("response dropped", "route", route, "connection", s.id, "error", err)
	}
}

// checkMessage checks that the body can be a WebSocket message.
func (r *response) checkMessage() error {
	switch {
	case len(r.body) > MaxMessageBytes:
		return errResponseTooLarge
	case !utf8.Valid(r.body):
		return errResponseNotText
	}
	return nil
}

// errorBody is the error that API Gateway itself sends: as a frame, and as the body
// of a refused handshake.
func errorBody(message, connectionID, requestID string) []byte {
	body, _ := json.Marshal(struct { // cannot fail: all members are strings
		Message      string `json:"message"`
		ConnectionID string `json:"connectionId"`
		RequestID    string `json:"requestId"`
	}{message, connectionID, requestID})
	return body
}
