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

// failure is an error response of the JSON API. The code is from hub's table.
type failure struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// writeJSON writes a JSON response.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	// The client may be gone.
	_ = e.Encode(v)
}

// failJSON writes an error response. It logs an internal error.
func (s *site) failJSON(w http.ResponseWriter, r *http.Request, err error) {
	e, status := s.public(r, err)
	writeFailure(w, status, e)
}

func writeFailure(w http.ResponseWriter, status int, e *hub.Error) {
	var f failure
	f.Error.Code, f.Error.Message = e.Code, e.Error()
	writeJSON(w, status, f)
}

// isJSON reports whether the content type of a request is JSON. A form of another site
// cannot set it.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// readJSON decodes a JSON body of at most limit bytes into v and refuses unknown keys.
// Where it returns false it has written the response: 413, 415 or 400.
func (s *site) readJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) bool {
	if !isJSON(r) {
		writeFailure(w, http.StatusUnsupportedMediaType, hub.ErrBadRequest.With("send the body as application/json"))
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

// readForm reads a form of at most limit bytes into r.PostForm. Where it returns false
// it has written the response: 413 or 400.
func (s *site) readForm(w http.ResponseWriter, r *http.Request, limit int64) bool {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		e, status := bodyError(err)
		s.explain(w, r, status, e)
		return false
	}
	if err := hub.CheckValues("the form", r.PostForm); err != nil {
		s.explain(w, r, http.StatusBadRequest, hub.Public(err))
		return false
	}
	return true
}

// bodyError returns the response to a body that cannot be read.
func bodyError(err error) (*hub.Error, int) {
	var tooLarge *http.MaxBytesError
	var known *hub.Error
	switch {
	case errors.As(err, &tooLarge):
		return hub.ErrLimitExceeded.With("the body is too large"), http.StatusRequestEntityTooLarge
	case errors.As(err, &known):
		return known, http.StatusBadRequest
	}
	return hub.ErrBadRequest.With("the body cannot be read"), http.StatusBadRequest
}
