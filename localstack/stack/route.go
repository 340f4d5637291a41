package stack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	list "centrifuge/functions"
	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
)

// routes are the event sources of functions, with their handlers.
type routes struct {
	webSocket map[string]gateway.Function
	replies   []string // the keys of two-way routes
	http      []gateway.HTTPRoute
	rules     []eventbridge.Rule
	// invoked are the functions that other functions invoke, by name.
	invoked map[string]lambda.Asynchronous
	// scheduled are the functions that a schedule invokes every minute.
	scheduled []lambda.Asynchronous
}

// everyMinute is the schedule that the local stack has.
const everyMinute = "cron(* * * * ? *)"

// route puts handlers behind the event sources of functions; asynchronous returns the function
// of a handler that is invoked asynchronously. It fails when a function has no handler, and
// when a handler has no function.
func route(functions []list.Function, handlers map[string]gateway.Function, asynchronous func(name string, handler gateway.Function) lambda.Asynchronous) (routes, error) {
	r := routes{webSocket: make(map[string]gateway.Function), replies: []string{}, invoked: make(map[string]lambda.Asynchronous)}
	var problems []error
	unlisted := maps.Clone(handlers)
	for _, f := range functions {
		handler := handlers[f.Name]
		if handler == nil {
			problems = append(problems, fmt.Errorf("function %s has no handler: add it to localstack/stack/stack.go", f.Name))
			continue
		}
		delete(unlisted, f.Name)
		for _, w := range f.WebSocket {
			r.webSocket[w.Key] = handler
			if w.Reply {
				r.replies = append(r.replies, w.Key)
			}
		}
		for _, h := range f.HTTP {
			method, path, _ := strings.Cut(h, " ")
			r.http = append(r.http, gateway.HTTPRoute{Method: method, Path: path, Function: handler})
		}
		for _, e := range f.Events {
			r.rules = append(r.rules, eventbridge.Rule{Source: e.Source, DetailType: e.DetailType, Function: asynchronous(f.Name, handler)})
		}
		if f.Asynchronous {
			r.invoked[f.Name] = asynchronous(f.Name, handler)
		}
		switch f.Schedule {
		case "":
		case everyMinute:
			r.scheduled = append(r.scheduled, r.invoked[f.Name])
		default:
			problems = append(problems, fmt.Errorf("function %s has the schedule %q: the local stack knows %q only", f.Name, f.Schedule, everyMinute))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unlisted)) {
		problems = append(problems, fmt.Errorf("handler %s has no function: add it to functions/routes.go", name))
	}
	return r, errors.Join(problems...)
}
