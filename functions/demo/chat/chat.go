// Package chat is the example application: a chat page and the little backend that
// it needs. It uses Centrifuge from outside, as any application in any language
// would, and is meant to be copied: it makes tokens, answers validate_url and
// publishes with nothing but the standard library, and imports no package of this
// module.
//
// It refuses to know who its visitors are: whoever types a name gets a token for
// it. A real application takes the user from its own login instead.
package chat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxBodyBytes = 4 << 10
	// maxWishBytes is more than a client can put into the frame that a wish comes in.
	maxWishBytes = 256 << 10
	maxNameRunes = 32
	maxTextRunes = 280
)

//go:embed page
var embedded embed.FS

// Options are what the application must be told. The three strings and Secret are
// required: without one of the strings, or while there is no secret, the page is
// served, and what it asks for is answered with status 503.
type Options struct {
	// Project is the project's id.
	Project string
	// Secret returns the project's secret key. An application of yours has it in its
	// configuration.
	Secret func(context.Context) (string, error)
	// WebSocketURL is what the page connects to, such as "wss://host/stage".
	WebSocketURL string
	// HTTPURL is the base of the server API, without a slash at the end.
	HTTPURL string
	// Client calls the server API; nil means one with a time-out of 5 s.
	Client *http.Client
	// Log is told of announcements that failed; nil means slog.Default().
	Log *slog.Logger
}

type application struct{ Options }

// New returns the application, to be mounted at /demo/ without stripping the
// prefix. It is safe for concurrent use. Every answer but the page and its files
// is JSON; a failed one is {"error": "what went wrong"}. Request bodies over 4 KB,
// or 256 KB for validate_url, are refused with status 413.
func New(o Options) http.Handler {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	page, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // "page" is a constant, and valid
	}
	a := application{o}
	mux := http.NewServeMux()
	mux.Handle("/demo", only(http.MethodGet, http.RedirectHandler("/demo/", http.StatusMovedPermanently).ServeHTTP))
	mux.Handle("/demo/", only(http.MethodGet, http.StripPrefix("/demo", http.FileServerFS(page)).ServeHTTP))
	mux.Handle("/demo/token", only(http.MethodPost, a.token))
	mux.Handle("/demo/validate", only(http.MethodPost, a.validate))
	mux.Handle("/demo/announce", only(http.MethodPost, a.announce))
	return secure(mux)
}

// only refuses requests by other methods; GET includes HEAD.
func only(method string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, "this address takes "+method+" only")
			return
		}
		next(w, r)
	})
}

// secure adds the headers of a page that loads nothing from anywhere else and
// runs no inline script, and keeps other sites' pages from using the backend.
func secure(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, "another site may not ask this")
	}))
	next = sameOrigin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// token answers POST /demo/token: {"name"} becomes what the page needs to connect.
func (a application) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name string }
	if !read(w, r, maxBodyBytes, &in) {
		return
	}
	user := strings.TrimSpace(in.Name)
	if !validText(user, maxNameRunes) {
		fail(w, http.StatusBadRequest, "a name is 1 to 32 printable characters")
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

// validate answers POST /demo/validate, the project's validate_url: Centrifuge
// asks whether this user, who has shown a good token, may connect with these
// permissions. Status 403 would say no; 200 says yes, and may narrow the
// permissions and tell others who the user is. Visitors get three categories,
// whatever they wished for: Centrifuge grants what is in both.
func (a application) validate(w http.ResponseWriter, r *http.Request) {
	var in struct{ User string }
	if !read(w, r, maxWishBytes, &in) {
		return
	}
	if in.User == "" {
		fail(w, http.StatusForbidden, "there are no anonymous visitors")
		return
	}
	answer(w, http.StatusOK, map[string]any{
		// An empty list is the whole category.
		"permissions": map[string][]string{"chat": {}, "news": {}, "python": {}},
		"info":        map[string]string{"name": in.User},
	})
}

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
	if !ok {
		return
	}
	if err := a.publish(r.Context(), secret, "news", "announcements", map[string]string{"text": text}); err != nil {
		a.Log.ErrorContext(r.Context(), "announcement failed", "error", err)
		message := "Centrifuge could not be reached"
		if refusal := (*refusal)(nil); errors.As(err, &refusal) {
			message = refusal.Error()
		}
		fail(w, http.StatusBadGateway, message)
		return
	}
	answer(w, http.StatusOK, map[string]bool{"announced": true})
}

// publish sends data to everybody in a channel, through the server API with the
// classic signature. It fails with a refusal where Centrifuge answered no.
func (a application) publish(ctx context.Context, secret, category, channel string, data any) error {
	command, err := json.Marshal(map[string]any{
		"method": "broadcast",
		"params": map[string]any{"category": category, "channel": channel, "data": data},
	})
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	body := base64.StdEncoding.EncodeToString(command)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.HTTPURL+"/rpc/"+url.PathEscape(a.Project), strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	req.Header.Set("X-Centrifuge-Auth", "sign="+sign(secret, a.Project+body))
	res, err := a.Client.Do(req)
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &refusal{fmt.Sprintf("status %d", res.StatusCode)}
	}
	var reply struct {
		Error *string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBodyBytes)).Decode(&reply); err != nil {
		return fmt.Errorf("publish to %s:%s: reply: %w", category, channel, err)
	}
	if reply.Error != nil {
		return &refusal{*reply.Error}
	}
	return nil
}

// refusal is Centrifuge's no to a publish; a visitor may read it.
type refusal struct{ reason string }

func (r *refusal) Error() string { return "Centrifuge refused the announcement: " + r.reason }

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

// validText tells whether s is 1 to limit characters that can be seen, or spaces.
func validText(s string, limit int) bool {
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= limit && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsPrint(r)
	})
}

// read decodes a JSON body into in; where it cannot, it answers and returns false.
func read(w http.ResponseWriter, r *http.Request, limit int64, in any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request is at most %d KB", limit>>10))
		return false
	}
	if err != nil || bytes.Equal(bytes.TrimSpace(body), []byte("null")) || json.Unmarshal(body, in) != nil {
		fail(w, http.StatusBadRequest, "the request is not the JSON object that is expected here")
		return false
	}
	return true
}

func fail(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever went away does not read it
}
