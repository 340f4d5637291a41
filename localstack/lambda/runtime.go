package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// runtimeAPI serves the Lambda Runtime API of 2018-06-01 to every process, below the
// path of its environment:
//
//	GET  /NAME.N/2018-06-01/runtime/invocation/next
//	POST /NAME.N/2018-06-01/runtime/invocation/{id}/response
//	POST /NAME.N/2018-06-01/runtime/invocation/{id}/error
//	POST /NAME.N/2018-06-01/runtime/init/error
func (s *Service) runtimeAPI() http.Handler {
	const base = "/{environment}/2018-06-01/runtime"
	mux := http.NewServeMux()
	handle := func(pattern string, serve func(*environment, http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			e := s.environment(r.PathValue("environment"))
			if e == nil {
				refuse(w, http.StatusForbidden, "InvalidEnvironment", "the process is not known")
				return
			}
			serve(e, w, r)
		})
	}
	handle("GET "+base+"/invocation/next", (*environment).serveNext)
	handle("POST "+base+"/invocation/{id}/response", (*environment).serveResponse)
	handle("POST "+base+"/invocation/{id}/error", (*environment).serveError)
	handle("POST "+base+"/init/error", (*environment).serveInitError)
	return mux
}

// serveNext answers with the next event. It waits for one.
func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	select {
	case e.asked <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	select {
	case i := <-e.events:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", e.function.arn())
		h.Set("Lambda-Runtime-Trace-Id", traceID(i.id, time.Now()))
		_, _ = w.Write(i.event) // fails only when the process has exited
	case <-r.Context().Done():
	}
}

func (f *Function) arn() string {
	return "arn:aws:lambda:" + f.service.options.Region + ":000000000000:function:" + f.Name
}

// traceID is an X-Ray trace id that is not sampled.
func traceID(requestID string, now time.Time) string {
	digits := strings.ReplaceAll(requestID, "-", "")
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", now.Unix(), digits[:24], digits[16:])
}

func (e *environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	response, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		large := &FunctionError{"Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes)."}
		if e.accept(w, r, answer{err: large}) {
			refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", large.Message)
		}
	case err != nil: // the process has exited
	case e.accept(w, r, answer{response: response}):
		accepted(w)
	}
}

func (e *environment) serveError(w http.ResponseWriter, r *http.Request) {
	if e.accept(w, r, answer{err: readError(r)}) {
		accepted(w)
	}
}

func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	select {
	case e.failedInit <- readError(r):
		accepted(w)
	default:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the error was reported before")
	}
}

// readError reads the error that a process reports.
func readError(r *http.Request) *FunctionError {
	failure := &FunctionError{Type: r.Header.Get("Lambda-Runtime-Function-Error-Type")}
	// A body that is not JSON leaves the header.
	_ = json.NewDecoder(io.LimitReader(r.Body, maxPayload)).Decode(failure)
	if failure.Type == "" {
		failure.Type = "Runtime.Unknown"
	}
	return failure
}

// accept gives an answer to the current invocation. If the request names another one,
// or a second answer, it refuses the request and returns false.
func (e *environment) accept(w http.ResponseWriter, r *http.Request, a answer) bool {
	i := e.invocation(r.PathValue("id"))
	if i == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return false
	}
	if !i.accept(a) {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the invocation was answered before")
		return false
	}
	return true
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(FunctionError{kind, message}) // fails only when the process has exited
}
