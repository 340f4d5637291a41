package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
)

// isUpgrade reports whether r asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && hasToken(r.Header["Upgrade"], "websocket")
}

// checkHandshake returns the status with which a handshake is refused before
// anybody is asked, or 0. Doing so before $connect keeps $connect from letting a
// client in that the WebSocket library then refuses.
func checkHandshake(r *http.Request) int {
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

// hasToken reports whether a comma-separated header contains a token, in any case.
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

// connect invokes $connect and reports whether the client may come in. If not, the
// client has its answer.
func (g *Gateway) connect(w http.ResponseWriter, r *http.Request, s *socket) bool {
	function := g.opts.Routes["$connect"]
	if function == nil {
		return true
	}
	event := g.connectEvent(s, r)
	refuse := func(status int, message string) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(refusal(message, s.id, event.RequestContext.RequestID))
		return false
	}
	response, err := g.call(r.Context(), function, event)
	if err != nil {
		g.logFailure("$connect", s.id, err)
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

// disconnect invokes $disconnect for a connection that is over.
func (g *Gateway) disconnect(s *socket) {
	function := g.opts.Routes["$disconnect"]
	if function == nil || g.opts.LoseDisconnect != nil && g.opts.LoseDisconnect(s.id) {
		return
	}
	// Nobody is there to get the response, so that it may be anything.
	if _, err := g.invoke(context.Background(), function, g.disconnectEvent(s)); err != nil {
		g.logFailure("$disconnect", s.id, err)
	}
}
