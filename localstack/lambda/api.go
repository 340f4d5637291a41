package lambda

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxAsyncPayload is the largest event of an asynchronous invocation.
const maxAsyncPayload = 1 << 20

// API serves Lambda's API Invoke for functions by name, with the invocation type Event
// alone. It verifies no signature.
func API(functions map[string]Asynchronous) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsyncPayload))
		name := r.PathValue("name")
		f := functions[name]
		switch {
		case err != nil:
			fail(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", err.Error())
		case f == nil:
			fail(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+name)
		case r.Header.Get("X-Amz-Invocation-Type") != "Event":
			fail(w, http.StatusBadRequest, "InvalidParameterValueException", "only the invocation type Event is supported")
		case !json.Valid(event):
			fail(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json")
		default:
			if err := f.InvokeAsync(event); err != nil {
				fail(w, http.StatusServiceUnavailable, "ServiceException", fmt.Sprintf("invoke %s: %v", name, err))
				return
			}
			w.WriteHeader(http.StatusAccepted)
		}
	})
	return mux
}

// fail answers as the API does, whose errors have their names in a header.
func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	refuse(w, status, kind, message)
}
