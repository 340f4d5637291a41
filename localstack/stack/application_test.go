package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// applicationFaults are what an application does instead of its answer.
var applicationFaults = map[string]func(w http.ResponseWriter, r *http.Request, kill func()){
	"refused": func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(http.StatusForbidden) },
	"throttled": func(w http.ResponseWriter, _ *http.Request, _ func()) {
		w.WriteHeader(http.StatusTooManyRequests)
	},
	"failed": func(w http.ResponseWriter, _ *http.Request, _ func()) {
		w.WriteHeader(http.StatusInternalServerError)
	},
	"a page":              func(w http.ResponseWriter, _ *http.Request, _ func()) { _, _ = io.WriteString(w, "<!doctype html>") },
	"no answer":           func(http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) },
	"hung":                func(_ http.ResponseWriter, r *http.Request, _ func()) { <-r.Context().Done() },
	"killed while asking": func(_ http.ResponseWriter, r *http.Request, kill func()) { kill(); <-r.Context().Done() },
}

// TestApplicationFaults injects every fault into every request that auth makes to an
// application. Whatever fails, the client is answered, and a repeated auth succeeds.
func TestApplicationFaults(t *testing.T) {
	m := newMatrix(t)
	var mu sync.Mutex
	requests, at := 0, 0
	var fault func(http.ResponseWriter, *http.Request, func())
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests++
		hit := requests == at
		mu.Unlock()
		// The handler learns that the client has left only after it has read the body.
		_, _ = io.Copy(io.Discard, r.Body)
		if hit {
			fault(w, r, func() {
				m.mu.Lock()
				process := m.latest["auth"]
				m.mu.Unlock()
				m.Lambda.Kill(process)
			})
			return
		}
		_, _ = io.WriteString(w, `{"permissions":{}}`)
	}))
	t.Cleanup(application.Close)
	if err := m.App.Store.PutProject(t.Context(), &hub.Project{
		ID: "asks", Name: "Asks", Secret: "a secret", Options: hub.ProjectOptions{ValidateURL: application.URL},
	}); err != nil {
		t.Fatal(err)
	}
	frame := fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":"ada","project_id":"asks","permissions":{}}}`, auth.SignToken("a secret", "ada", "asks"))
	for name, f := range applicationFaults {
		t.Run(name, func(t *testing.T) {
			mu.Lock()
			requests, at, fault = 0, 1, f
			mu.Unlock()
			conn := dial(t, m.Stack)
			reply := command(t, conn, frame)
			if name == "refused" && !strings.Contains(reply, "permission denied") {
				t.Errorf("reply %s", reply)
			}
			if !succeededIn(t, reply) {
				succeeds(t, conn, frame)
			}
		})
	}
}
