package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// applicationFaults are what an application does instead of its answer. kill kills the
// process that asks.
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

// application is the application of a project.
type application struct {
	*httptest.Server
	// faults holds what it does instead of its next answer.
	faults chan func(w http.ResponseWriter, r *http.Request, kill func())
	// bodies are those of all requests.
	bodies chan string
}

// newApplication starts an application that gives this answer to the requests of a function,
// unless it meets a fault.
func (m *matrix) newApplication(t *testing.T, function, answer string) application {
	t.Helper()
	a := application{faults: make(chan func(http.ResponseWriter, *http.Request, func()), 1), bodies: make(chan string, 100)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The handler learns that the client has left only after it has read the body.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.bodies <- string(body)
		select {
		case fault := <-a.faults:
			fault(w, r, func() { m.kill(function) })
		default:
			_, _ = io.WriteString(w, answer)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// events returns the event ids of the requests since the last call.
func (a application) events(t *testing.T) (ids []string) {
	t.Helper()
	for range len(a.bodies) {
		var message struct {
			Event string `json:"event_id"`
		}
		if err := json.Unmarshal([]byte(<-a.bodies), &message); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, message.Event)
	}
	return ids
}

// TestApplicationFaults injects every fault into a request that a function makes to an
// application. Whatever fails, a client is answered, and a repeated auth succeeds; a webhook
// gets its message.
func TestApplicationFaults(t *testing.T) {
	t.Run("validate_url", func(t *testing.T) {
		t.Parallel()
		m := newMatrix(t)
		a := m.newApplication(t, "auth", `{"permissions":{}}`)
		p := m.tenant(t, "asks", hub.ProjectOptions{ValidateURL: a.URL})
		frame := fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":"ada","project_id":%q,"permissions":{}}}`, auth.SignToken(p.secret, "ada", p.id), p.id)
		for name, fault := range applicationFaults {
			t.Run(name, func(t *testing.T) {
				conn := dial(t, m.Stack)
				a.faults <- fault
				got := reply(t, conn, frame)
				if name == "refused" && !strings.Contains(got.text, hub.ErrPermissionDenied.Message) {
					t.Errorf("answered %s", got.text)
				}
				if !got.success {
					succeeds(t, conn, frame)
				}
				if len(a.faults) > 0 {
					t.Error("the application was not asked")
				}
			})
		}
	})
	t.Run("webhook", func(t *testing.T) {
		t.Parallel()
		m := newMatrix(t)
		a := m.newApplication(t, "webhook", "")
		p := m.tenant(t, "hooks", hub.ProjectOptions{WebhookURL: a.URL}, hub.Category{Name: "hooked", CategoryOptions: hub.CategoryOptions{Hooks: true}})
		for name, fault := range applicationFaults {
			t.Run(name, func(t *testing.T) {
				a.faults <- fault
				m.notify(t, p)
				want := 2
				if name == "a page" { // any body of a success is one
					want = 1
				}
				if ids := a.events(t); len(ids) != want || ids[0] != ids[want-1] {
					t.Errorf("the webhook got %v, want %d of one message", ids, want)
				}
			})
		}
	})
}
