package chat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxNameRunes = 32
	invalidName  = "invalid name: write 1 to 32 printable characters"
)

// tokenAge is when a token ends. Before that, the page gets another one.
const tokenAge = time.Hour

// claims are what a token says. It is a JSON Web Token.
type claims struct {
	// User is the visitor, and Expires when the token ends, in seconds since 1970.
	User    string `json:"sub"`
	Expires int64  `json:"exp"`
	// Info is what other visitors see.
	Info map[string]string `json:"info"`
	// Permissions are the channels that the visitor may use.
	Permissions map[string][]string `json:"permissions"`
	// Channels are those to which Centrifuge subscribes the visitor by itself.
	Channels []string `json:"channels"`
}

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
	token := encode(secret, claims{
		User: user, Expires: a.Now().Add(tokenAge).Unix(), Info: map[string]string{"name": user},
		Permissions: permissions(user), Channels: []string{"user:" + user},
	})
	writeJSON(w, http.StatusOK, map[string]string{
		"url": a.WebSocketURL + "?project=" + url.QueryEscape(a.Project), "token": token, "user": user,
	})
}

// header is the first part of a token: {"alg":"HS256","typ":"JWT"}.
const header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// encode makes a token. There are libraries for that in every language.
func encode(secret string, c claims) string {
	payload, _ := json.Marshal(c) // strings and numbers always encode
	signed := header + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac(secret, signed))
}

// validToken reports whether token is one of this user. Your application checks its
// session cookie instead.
func (a application) validToken(secret, user, token string) bool {
	var c claims
	end := max(strings.LastIndexByte(token, '.'), 0)
	signature, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token[end:], "."))
	if err != nil || !hmac.Equal(signature, mac(secret, token[:end])) {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token[:end], header+"."))
	return err == nil && json.Unmarshal(payload, &c) == nil && c.User == user && a.Now().Unix() < c.Expires
}

func mac(secret, message string) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(message))
	return m.Sum(nil)
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
