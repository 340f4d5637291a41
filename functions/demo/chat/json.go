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
