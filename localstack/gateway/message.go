package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// message invokes the function of a client's message and sends the client its
// response.
func (g *Gateway) message(s *socket, body []byte) {
	route, function := g.route(body)
	event := g.messageEvent(s, route, body)
	if function == nil {
		g.reply(s, route, refusal("Forbidden", s.id, event.RequestContext.RequestID))
		return
	}
	response, err := g.call(context.Background(), function, event)
	if err == nil && g.replies[route] {
		err = response.asMessage()
	}
	if err != nil {
		g.logFailure(route, s.id, err)
		g.reply(s, route, refusal("Internal server error", s.id, event.RequestContext.RequestID))
		return
	}
	if g.replies[route] && len(response.body) > 0 {
		g.reply(s, route, response.body)
	}
}

// route evaluates the route selection expression for a message. The function is nil
// when no route takes it. Clients cannot reach $connect and $disconnect.
func (g *Gateway) route(body []byte) (string, Function) {
	if name, ok := member(body, g.opts.SelectBy); ok && name != "" && name[0] != '$' {
		if function := g.opts.Routes[name]; function != nil {
			return name, function
		}
	}
	return "$default", g.opts.Routes["$default"]
}

// member returns a string in a JSON object. Unlike encoding/json for structs it
// tells the case of names apart.
func member(body []byte, name string) (string, bool) {
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

// reply queues a frame for the client of a message.
func (g *Gateway) reply(s *socket, route string, frame []byte) {
	if err := s.post(frame); errors.Is(err, errFull) {
		g.log.Warn("response lost: the client does not read", "route", route, "connection", s.id)
	}
}

// asMessage checks that the response can be a WebSocket message.
func (r *response) asMessage() error {
	switch {
	case len(r.body) > MaxMessageBytes:
		return errResponseTooBig
	case !utf8.Valid(r.body):
		return errResponseNotText
	}
	return nil
}

// refusal is the frame, and the body of a refused handshake, that API Gateway
// itself sends when there is nothing of a function to send.
func refusal(message, connectionID, requestID string) []byte {
	frame, _ := json.Marshal(struct { // strings cannot fail
		Message      string `json:"message"`
		ConnectionID string `json:"connectionId"`
		RequestID    string `json:"requestId"`
	}{message, connectionID, requestID})
	return frame
}
