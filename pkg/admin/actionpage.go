package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"centrifuge/pkg/hub"
)

// actionData is the data of actions.html.
type actionData struct {
	Actions []action
	Current action
	Fields  []actionField
	// Outcome is nil until the form has been sent.
	Outcome *outcome
}

// actionField is a parameter with what was typed into it.
type actionField struct {
	parameter
	Value, Problem string
}

// outcome is what became of a form: problems with what was typed, or a call.
type outcome struct {
	// Problems are by the name of the field. With any, nothing was sent.
	Problems map[string]string `json:"problems,omitempty"`
	// Request is the body that was sent, Curl the same call for a shell.
	Request string `json:"request,omitempty"`
	Curl    string `json:"curl,omitempty"`
	// Status is the HTTP status, such as "200 OK", and Answer the body.
	Status string `json:"status,omitempty"`
	Answer string `json:"answer,omitempty"`
	// Done tells that the answer is no error.
	Done bool `json:"done"`
}

// actions answers GET /admin/projects/{project}/actions?method=…: the form of one
// action, with what else is in the query typed into it.
func (s *site) actions(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.project(w, r); !ok {
		return
	}
	query := r.URL.Query()
	a := actions[0]
	if method := query.Get("method"); method != "" {
		var ok bool
		if a, ok = actionOf(method); !ok {
			s.fail(w, r, hub.ErrMethodNotFound)
			return
		}
	}
	s.render(w, r, http.StatusOK, "actions.html", newActionData(a, query, nil))
}

// act answers POST /admin/projects/{project}/actions, whose form names the method:
// the same page, with what became of it.
func (s *site) act(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxBodyBytes) {
		return
	}
	a, o, ok := s.perform(w, r, r.PostForm.Get("method"))
	if !ok {
		return
	}
	status := http.StatusOK
	if len(o.Problems) > 0 {
		status = http.StatusBadRequest
	}
	s.render(w, r, status, "actions.html", newActionData(a, r.PostForm, &o))
}

// actJSON answers POST /admin/projects/{project}/actions/{method}, the same form
// sent by a script, with an outcome. A form with problems is no failure of this.
func (s *site) actJSON(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxBodyBytes) {
		return
	}
	if _, o, ok := s.perform(w, r, r.PathValue("method")); ok {
		writeJSON(w, http.StatusOK, o)
	}
}

// perform calls a method with the request's form. Where it returns false it has
// answered.
func (s *site) perform(w http.ResponseWriter, r *http.Request, method string) (action, outcome, bool) {
	p, ok := s.project(w, r)
	if !ok {
		return action{}, outcome{}, false
	}
	a, ok := actionOf(method)
	if !ok {
		s.refuse(w, r, hub.ErrMethodNotFound)
		return action{}, outcome{}, false
	}
	body, problems := a.request(r.PostForm)
	if len(problems) > 0 {
		return a, outcome{Problems: problems}, true
	}
	status, answer := s.Call(r.Context(), p, a.Method, body)
	return a, outcome{
		Request: indent(body), Curl: curl(s.HTTPURL, a.Method, body),
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Answer: indent(answer),
		Done: status < 300 && !failed(answer),
	}, true
}

func newActionData(a action, typed url.Values, o *outcome) actionData {
	d := actionData{Actions: actions, Current: a, Outcome: o}
	for _, f := range a.Fields {
		field := actionField{parameter: f, Value: typed.Get(f.Name)}
		if o != nil {
			field.Problem = o.Problems[f.Name]
		}
		d.Fields = append(d.Fields, field)
	}
	return d
}

// failed tells whether an answer is an error, which comes with status 200 as well.
func failed(answer []byte) bool {
	var a struct {
		Error json.RawMessage `json:"error"`
	}
	return json.Unmarshal(answer, &a) != nil || len(a.Error) > 0 && string(a.Error) != "null"
}

// indent writes JSON for people; what is not JSON stays as it is.
func indent(b []byte) string {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, bytes.TrimSpace(b), "", "  "); err != nil {
		return string(b)
	}
	return pretty.String()
}
