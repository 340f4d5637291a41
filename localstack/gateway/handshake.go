package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
)

// isUpgrade reports whether r is a WebSocket handshake.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && hasToken(r.Header["Upgrade"], "websocket")
}

// handshakeError returns the status that refuses an invalid handshake, or 0. The
// check runs before $connect: otherwise $connect could accept a client that the
// WebSocket library refuses afterwards.
func handshakeError(r *http.Request) int {
	if len(r.RequestURI) > MaxURLBytes {
		return http.StatusRequestURITooLong
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 || r.Header.Get("Sec-Websocket-Version") != "13" ||
		!hasToken(r.Header["Connection"], "upgrade") || !r.ProtoAtLeast(1, 1) {
		return http.StatusBadRequest
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != 16 {
		return http.StatusBadRequest
	}
	return 0
}

// hasToken reports whether a comma-separated header contains a token, ignoring case.
func hasToken(values []string, token string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// invokeConnect invokes $connect and reports whether it accepted the handshake. If
// not, the refusal has been written to w.
func (g *Gateway) invokeConnect(w http.ResponseWriter, r *http.Request, s *socket) bool {
	function := g.opts.Routes["$connect"]
	if function == nil {
		return true
	}
	event := g.connectEvent(s, r)
	refuse := func(status int, message string) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(errorBody(message, s.id, event.RequestContext.RequestID))
		return false
	}
	response, err := g.invokeProxy(r.Context(), function, event)
	if err != nil {
		// Reported: serverless/serverless-websockets-plugin#13.
		g.logFailure(err, "route", "$connect", "connection", s.id)
		return refuse(http.StatusBadGateway, "Internal server error")
	}
	if response.status < 200 || response.status > 299 {
		return refuse(response.status, http.StatusText(response.status))
	}
	if protocol := response.header("Sec-WebSocket-Protocol"); protocol != "" {
		w.Header().Set("Sec-WebSocket-Protocol", protocol)
	}
	return true
}

// invokeDisconnect invokes $disconnect for a connection that has ended.
func (g *Gateway) invokeDisconnect(s *socket) {
	function := g.opts.Routes["$disconnect"]
	if function == nil || g.opts.LoseDisconnect != nil && g.opts.LoseDisconnect(s.id) {
		return
	}
	// The response is not decoded, because it is not sent.
	if _, err := g.invoke(context.Background(), function, g.disconnectEvent(s)); err != nil {
		g.logFailure(err, "route", "$disconnect", "connection", s.id)
	}
}
