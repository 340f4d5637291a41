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
	badName      = "a name is 1 to 32 printable characters"
)

// token answers POST /demo/token: {"name"} becomes what the page needs to connect.
func (a application) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name string }
	if !read(w, r, maxBodyBytes, &in) {
		return
	}
	user := strings.TrimSpace(in.Name)
	if !validText(user, maxNameRunes) {
		fail(w, http.StatusBadRequest, badName)
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	answer(w, http.StatusOK, map[string]string{
		"project": a.Project,
		"user":    user,
		// The whole of a client token: who it is for, signed with the secret.
		"token": sign(secret, user+a.Project),
		"url":   a.WebSocketURL,
	})
}

// sign is the classic signature: lower-case hexadecimal HMAC-SHA256.
func sign(secret, message string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// genuine tells whether token is the one that sign made for this user: what a
// session cookie would tell an application of yours.
func (a application) genuine(secret, user, token string) bool {
	return hmac.Equal([]byte(token), []byte(sign(secret, user+a.Project)))
}

// secret looks up the project's secret; where it cannot, it answers and returns
// false.
func (a application) secret(w http.ResponseWriter, r *http.Request) (secret string, ok bool) {
	if a.Project == "" || a.WebSocketURL == "" || a.HTTPURL == "" {
		fail(w, http.StatusServiceUnavailable, "the application was not told where Centrifuge is")
		return "", false
	}
	secret, err := a.Secret(r.Context())
	if err != nil || secret == "" {
		a.Log.ErrorContext(r.Context(), "there is no secret", "project", a.Project, "error", err)
		fail(w, http.StatusServiceUnavailable, "create the project first")
		return "", false
	}
	return secret, true
}
