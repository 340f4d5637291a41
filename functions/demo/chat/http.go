package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxBodyBytes = 4 << 10

// validText reports whether s has 1 to limit printable characters.
func validText(s string, limit int) bool {
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= limit && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsPrint(r)
	})
}

// readJSON decodes the body of a request into in. On failure it writes the error
// response and returns false.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, in any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("request too large: send at most %d KB", limit>>10))
		return false
	}
	if err != nil || bytes.Equal(bytes.TrimSpace(body), []byte("null")) || json.Unmarshal(body, in) != nil {
		writeError(w, http.StatusBadRequest, "invalid request: send a JSON object with the fields of this endpoint")
		return false
	}
	return true
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client is gone
}
