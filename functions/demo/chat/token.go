package chat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

const (
	maxNameRunes = 32
	invalidName  = "invalid name: write 1 to 32 printable characters"
)

// token answers POST /demo/token: for {"name"} it returns what the page needs to
// connect.
func (a application) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name string }
	if !readJSON(w, r, maxBodyBytes, &in) {
		return
	}
	user := strings.TrimSpace(in.Name)
	if !validText(user, maxNameRunes) {
		writeError(w, http.StatusBadRequest, invalidName)
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"project": a.Project,
		"user":    user,
		// A client token is the signature of the user and the project.
		"token": sign(secret, user+a.Project),
		"url":   a.WebSocketURL,
	})
}

// sign returns the classic signature: HMAC-SHA256 in lower-case hexadecimal.
func sign(secret, message string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// validToken reports whether token is the token of this user. Your application checks
// its session cookie instead.
func (a application) validToken(secret, user, token string) bool {
	return hmac.Equal([]byte(token), []byte(sign(secret, user+a.Project)))
}

// secret returns the secret key of the project. On failure it writes the error
// response and returns false.
func (a application) secret(w http.ResponseWriter, r *http.Request) (secret string, ok bool) {
	if a.Project == "" || a.WebSocketURL == "" || a.HTTPURL == "" {
		writeError(w, http.StatusServiceUnavailable, "not configured: set Project, WebSocketURL and HTTPURL")
		return "", false
	}
	secret, err := a.Secret(r.Context())
	if err != nil || secret == "" {
		a.Log.ErrorContext(r.Context(), "read project secret failed", "project", a.Project, "error", err)
		writeError(w, http.StatusServiceUnavailable, "project not found: create the project "+a.Project)
		return "", false
	}
	return secret, true
}
