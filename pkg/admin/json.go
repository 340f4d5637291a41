package admin

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// failure is a failed answer of the JSON API, with a code of hub's table.
type failure struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// writeJSON answers with JSON.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	// A caller that has gone is told nothing.
	_ = e.Encode(v)
}

// failJSON answers with an error, and logs, once, what the caller may not see.
func (s *site) failJSON(w http.ResponseWriter, r *http.Request, err error) {
	e, status := s.public(r, err)
	writeFailure(w, status, e)
}

func writeFailure(w http.ResponseWriter, status int, e *hub.Error) {
	var f failure
	f.Error.Code, f.Error.Message = e.Code, e.Error()
	writeJSON(w, status, f)
}

// isJSON tells whether a request says that its body is JSON. Forms of other sites
// cannot say so.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// readJSON reads a body of at most limit bytes, JSON without keys that v does not
// have. Where it returns false it has answered: 413, 415 or 400.
func (s *site) readJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) bool {
	if !isJSON(r) {
		writeFailure(w, http.StatusUnsupportedMediaType, hub.ErrBadRequest.With("the body is sent as application/json"))
		return false
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		err = manifest.Decode(b, v)
	}
	if err != nil {
		e, status := bodyError(err)
		writeFailure(w, status, e)
		return false
	}
	return true
}

// readForm reads a form of at most limit bytes into r.PostForm. Where it returns
// false it has answered: 413 or 400.
func (s *site) readForm(w http.ResponseWriter, r *http.Request, limit int64) bool {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		e, status := bodyError(err)
		s.explain(w, r, status, e)
		return false
	}
	return true
}

// bodyError is what a body that cannot be read is answered with.
func bodyError(err error) (*hub.Error, int) {
	var tooLarge *http.MaxBytesError
	var known *hub.Error
	switch {
	case errors.As(err, &tooLarge):
		return hub.ErrLimitExceeded.With("the body is too large"), http.StatusRequestEntityTooLarge
	case errors.As(err, &known):
		return known, http.StatusBadRequest
	}
	return hub.ErrBadRequest.With("the body could not be read"), http.StatusBadRequest
}
