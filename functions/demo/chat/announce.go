package chat

import (
	"net/http"
	"strings"
)

const maxTextRunes = 280

// announce answers POST /demo/announce: it publishes {"text"} to the channel
// announcements of the category news. Clients cannot publish there.
func (a application) announce(w http.ResponseWriter, r *http.Request) {
	var in struct{ Text string }
	if !readJSON(w, r, maxBodyBytes, &in) {
		return
	}
	text := strings.TrimSpace(in.Text)
	if !validText(text, maxTextRunes) {
		writeError(w, http.StatusBadRequest, "invalid announcement: write 1 to 280 printable characters")
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	if err := a.publish(r.Context(), secret, "news", "announcements", map[string]string{"text": text}); err != nil {
		a.publishFailed(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"announced": true})
}
