package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// The errors of the management API. The names are those of the types of the SDK,
// which reads them from a header.
var (
	unsignedError   = managementError{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	badRequestError = managementError{http.StatusBadRequest, "BadRequestException", "Bad Request"}
	notUTF8Error    = managementError{http.StatusBadRequest, "BadRequestException", "Data is not UTF-8"}
	goneError       = managementError{http.StatusGone, "GoneException", "Gone"}
	tooLargeError   = managementError{http.StatusRequestEntityTooLarge, "PayloadTooLargeException", "Payload too large"}
	limitError      = managementError{http.StatusTooManyRequests, "LimitExceededException", "Rate exceeded or client side buffer is full"}
	forbiddenError  = managementError{http.StatusForbidden, "ForbiddenException", "Forbidden"}
)

// invalidIDError is an answer to a malformed connection id that is reported as well
// (dherault/serverless-offline#749, localstack/localstack#4694). Only an injected
// fault gives it: the gateway takes a malformed id for one that is gone, as AWS
// documents in "How do I troubleshoot 410 GoneException errors".
func invalidIDError(id string) managementError {
	return managementError{http.StatusBadRequest, "BadRequestException", "Invalid connectionId: " + id}
}

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
		unsignedError.write(w)
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
			goneError.write(w)
			return
		}
		s.close(deleted)
		w.WriteHeader(http.StatusNoContent)
	default:
		unsignedError.write(w) // AWS answers unknown methods like this
	}
}

// servePost queues a message for a client. This is the hot path of a fan-out.
func (g *Gateway) servePost(w http.ResponseWriter, r *http.Request, id string) {
	message, failure := readPost(r)
	if failure != nil {
		failure.write(w)
		return
	}
	g.applyJitter(r.Context())
	if g.opts.Faults != nil && g.injectFault(w, r, Post{ConnectionID: id, Data: message}) {
		return
	}
	s := g.socket(id)
	if s == nil {
		goneError.write(w)
		return
	}
	switch err := s.post(message); {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, errQueueFull):
		limitError.write(w)
	default:
		goneError.write(w)
	}
}

// readPost reads the message of a post, or returns the error to answer with.
func readPost(r *http.Request) ([]byte, *managementError) {
	var message []byte
	var err error
	switch {
	case r.ContentLength > MaxMessageBytes:
		return nil, &tooLargeError
	case r.ContentLength >= 0:
		message = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, message)
	default:
		message, err = io.ReadAll(io.LimitReader(r.Body, MaxMessageBytes+1))
	}
	switch {
	case err != nil:
		return nil, &badRequestError
	case len(message) > MaxMessageBytes:
		return nil, &tooLargeError
	case !utf8.Valid(message):
		// Clients must close the connection when a text frame is not UTF-8.
		return nil, &notUTF8Error
	}
	return message, nil
}

// injectFault applies Options.Faults to a post, and reports whether it answered the
// post.
func (g *Gateway) injectFault(w http.ResponseWriter, r *http.Request, post Post) bool {
	fault := g.opts.Faults(post)
	if fault.Delay > 0 {
		sleep(r.Context(), fault.Delay)
	}
	if fault.Status == 0 && !fault.Abort && !fault.Hang {
		return false
	}
	if fault.Deliver {
		if s := g.socket(post.ConnectionID); s != nil {
			_ = s.post(post.Data) // the answer is the fault in any case
		}
	}
	if fault.Hang {
		<-r.Context().Done()
	}
	if fault.Abort || fault.Hang {
		panic(http.ErrAbortHandler)
	}
	failure := managementError{fault.Status, "InternalServerError", http.StatusText(fault.Status)}
	for _, known := range []managementError{invalidIDError(post.ConnectionID), goneError, tooLargeError, limitError, forbiddenError} {
		if known.status == fault.Status {
			failure = known
		}
	}
	failure.write(w)
	return true
}

// serveConnection answers GetConnection.
func (g *Gateway) serveConnection(w http.ResponseWriter, id string) {
	s := g.socket(id)
	if s == nil {
		goneError.write(w)
		return
	}
	const layout = "2006-01-02T15:04:05.000Z"
	body, _ := json.Marshal(struct { // cannot fail: all members are strings
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
