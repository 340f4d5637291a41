package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// The answers of the management API that are errors: the names are those of the
// SDK's types, the SDK finds them in the header.
var (
	answerUnsigned = managementError{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	answerBad      = managementError{http.StatusBadRequest, "BadRequestException", "Bad Request"}
	answerNoText   = managementError{http.StatusBadRequest, "BadRequestException", "Data is not UTF-8"}
	answerGone     = managementError{http.StatusGone, "GoneException", "Gone"}
	answerTooBig   = managementError{http.StatusRequestEntityTooLarge, "PayloadTooLargeException", "Payload too large"}
	answerLimit    = managementError{http.StatusTooManyRequests, "LimitExceededException", "Rate exceeded or client side buffer is full"}
	answerDenied   = managementError{http.StatusForbidden, "ForbiddenException", "Forbidden"}
)

type managementError struct {
	status    int
	exception string
	message   string
}

func (e managementError) write(w http.ResponseWriter) {
	w.Header().Set("X-Amzn-Errortype", e.exception)
	w.Header().Set("X-Amzn-Requestid", newUUID())
	writeMessage(w, e.status, e.message)
}

// serveManagement serves the @connections API for one connection.
func (g *Gateway) serveManagement(w http.ResponseWriter, r *http.Request, id string) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		answerUnsigned.write(w)
		return
	}
	switch r.Method {
	case http.MethodPost:
		g.servePost(w, r, id)
	case http.MethodGet:
		g.serveConnection(w, id)
	case http.MethodDelete:
		s := g.socket(id)
		if s == nil {
			answerGone.write(w)
			return
		}
		s.end(deleted)
		w.WriteHeader(http.StatusNoContent)
	default:
		answerUnsigned.write(w) // AWS's answer for methods that do not exist
	}
}

// servePost queues a message for a client. This is the hot path of a fan-out.
func (g *Gateway) servePost(w http.ResponseWriter, r *http.Request, id string) {
	message, answer := readPost(r)
	if answer != nil {
		answer.write(w)
		return
	}
	g.dawdle(r.Context())
	if g.opts.Faults != nil && g.fail(w, r, Post{ConnectionID: id, Data: message}) {
		return
	}
	s := g.socket(id)
	if s == nil {
		answerGone.write(w)
		return
	}
	switch err := s.post(message); {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, errFull):
		answerLimit.write(w)
	default:
		answerGone.write(w)
	}
}

// readPost reads the message of a post, or returns the answer that it gets.
func readPost(r *http.Request) ([]byte, *managementError) {
	var message []byte
	var err error
	switch {
	case r.ContentLength > MaxMessageBytes:
		return nil, &answerTooBig
	case r.ContentLength >= 0:
		message = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, message)
	default:
		message, err = io.ReadAll(io.LimitReader(r.Body, MaxMessageBytes+1))
	}
	switch {
	case err != nil:
		return nil, &answerBad
	case len(message) > MaxMessageBytes:
		return nil, &answerTooBig
	case !utf8.Valid(message):
		// A text frame of it would make any client hang up.
		return nil, &answerNoText
	}
	return message, nil
}

// fail asks what is to go wrong with a post, and reports whether it has been
// answered.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, post Post) bool {
	fault := g.opts.Faults(post)
	if fault.Delay > 0 {
		wait(r.Context(), fault.Delay)
	}
	if fault.Status == 0 && !fault.Abort {
		return false
	}
	if fault.Deliver {
		if s := g.socket(post.ConnectionID); s != nil {
			_ = s.post(post.Data) // the poster is lied to in any case
		}
	}
	if fault.Abort {
		panic(http.ErrAbortHandler)
	}
	answer := managementError{fault.Status, "InternalServerError", http.StatusText(fault.Status)}
	for _, known := range []managementError{answerGone, answerTooBig, answerLimit, answerDenied} {
		if known.status == fault.Status {
			answer = known
		}
	}
	answer.write(w)
	return true
}

// serveConnection tells about a connection.
func (g *Gateway) serveConnection(w http.ResponseWriter, id string) {
	s := g.socket(id)
	if s == nil {
		answerGone.write(w)
		return
	}
	const layout = "2006-01-02T15:04:05.000Z"
	body, _ := json.Marshal(struct { // strings cannot fail
		ConnectedAt  string   `json:"connectedAt"`
		Identity     identity `json:"identity"`
		LastActiveAt string   `json:"lastActiveAt"`
	}{
		s.connectedAt.UTC().Format(layout),
		s.peer.identity,
		s.lastActiveAt().UTC().Format(layout),
	})
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
