package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"centrifuge/pkg/hub"
)

// actionData is the data of actions.html.
type actionData struct {
	Actions []action
	Current action
	Fields  []actionField
	// Outcome is nil until the form is sent.
	Outcome *outcome
}

// actionField is a parameter with what was typed into it.
type actionField struct {
	parameter
	Value, Problem string
}

// outcome is the result of a form: problems with its fields, or a call.
type outcome struct {
	// Problems are by the name of the field. Where there are any, nothing was sent.
	Problems map[string]string `json:"problems,omitempty"`
	// Request is the body that was sent, Curl the same call as a shell command.
	Request string `json:"request,omitempty"`
	Curl    string `json:"curl,omitempty"`
	// Status is the HTTP status, such as "200 OK". Answer is the body of the response,
	// Summary what it means, for people.
	Status  string `json:"status,omitempty"`
	Answer  string `json:"answer,omitempty"`
	Summary string `json:"summary,omitempty"`
	// Done is false where the response is an error, or a part of it.
	Done bool `json:"done"`
}

// actionsPage handles GET /admin/projects/{project}/actions?method=…. The other
// parameters of the query fill in the form of the action.
func (s *site) actionsPage(w http.ResponseWriter, r *http.Request) {
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

// submitAction handles POST /admin/projects/{project}/actions. The form names the method.
// The response is the same page with the outcome.
func (s *site) submitAction(w http.ResponseWriter, r *http.Request) {
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

// submitActionJSON handles POST /admin/projects/{project}/actions/{method}: the same form,
// sent by a script. The response is an outcome in JSON, with status 200 also for a form
// with problems.
func (s *site) submitActionJSON(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxBodyBytes) {
		return
	}
	if _, o, ok := s.perform(w, r, r.PathValue("method")); ok {
		writeJSON(w, http.StatusOK, o)
	}
}

// perform calls a method with the request's form. Where it returns false it has
// written the response.
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
	text, done := summary(status, answer)
	return a, outcome{
		Request: indent(body), Curl: curl(s.HTTPURL, a.Method, body),
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Answer: indent(answer),
		Summary: text, Done: done,
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

// callError is an error in a response of the server API.
type callError struct {
	Message string `json:"message"`
	Detail  string `json:"detail"`
}

// String is the error for people.
func (e *callError) String() string {
	if e.Detail == "" || strings.Contains(e.Message, e.Detail) {
		return e.Message
	}
	return e.Message + ": " + e.Detail
}

// summary says what a response means, and reports whether all of it is a success. The
// status of an error may be 200.
func summary(status int, answer []byte) (text string, done bool) {
	type result struct {
		Delivered *int `json:"delivered"`
		// Offset is that of a message in a stream. The result of history has one too.
		Offset       *uint64         `json:"offset"`
		Publications json.RawMessage `json:"publications"`
	}
	type response struct {
		Error  *callError `json:"error"`
		Result result     `json:"result"`
	}
	var a struct {
		Error  *callError `json:"error"`
		Result struct {
			result
			Responses []response `json:"responses"`
		} `json:"result"`
	}
	err := json.Unmarshal(answer, &a)
	switch {
	case a.Error != nil && status < 500:
		return "Refused: " + a.Error.String(), false
	case a.Error != nil:
		return "Failed: " + a.Error.String(), false
	case status >= 300:
		return fmt.Sprintf("Failed: status %d", status), false
	case err != nil:
		return "Failed: the response is not what the server API returns", false
	}
	responses := a.Result.Responses
	if responses == nil {
		responses = append(responses, response{Result: a.Result.result})
	}
	// A message goes to connections, or into streams.
	connections, streams, direct, refused := 0, 0, 0, 0
	var first *callError
	for _, r := range responses {
		switch {
		case r.Error != nil:
			refused++
			first = cmp.Or(first, r.Error)
		case r.Result.Delivered != nil:
			direct++
			connections += *r.Result.Delivered
		case r.Result.Offset != nil && r.Result.Publications == nil:
			streams++
		}
	}
	var to []string
	if direct > 0 {
		to = append(to, count(connections, "connection"))
	}
	switch {
	case streams > 0 && a.Result.Responses != nil:
		to = append(to, count(streams, "stream"))
	case streams > 0:
		to = append(to, fmt.Sprintf("the stream, at offset %d", *a.Result.Offset))
	}
	text = "Done"
	if len(to) > 0 {
		text = "Published to " + strings.Join(to, " and ")
	}
	switch {
	case refused == 0:
		return text, true
	case len(to) == 0:
		return "Refused: " + first.String(), false
	}
	return fmt.Sprintf("%s, refused in %d of %d channels: %s", text, refused, len(responses), first), false
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return group(n) + " " + noun
}

// indent formats JSON for people. It returns other text unchanged.
func indent(b []byte) string {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, bytes.TrimSpace(b), "", "  "); err != nil {
		return string(b)
	}
	return pretty.String()
}
