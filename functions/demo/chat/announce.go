package chat

import (
	"net/http"
	"strings"
)

const maxTextRunes = 280

// announce answers POST /demo/announce: {"text"} goes to everybody who listens to
// the channel announcements in the category news, into which clients cannot
// broadcast.
func (a application) announce(w http.ResponseWriter, r *http.Request) {
	var in struct{ Text string }
	if !read(w, r, maxBodyBytes, &in) {
		return
	}
	text := strings.TrimSpace(in.Text)
	if !validText(text, maxTextRunes) {
		fail(w, http.StatusBadRequest, "an announcement is 1 to 280 printable characters")
		return
	}
	secret, ok := a.secret(w, r)
	if ok && a.push(w, r, secret, "news", "announcements", map[string]string{"text": text}) {
		answer(w, http.StatusOK, map[string]bool{"announced": true})
	}
}
