package stack

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	list "centrifuge/functions"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
)

func TestRoute(t *testing.T) {
	handler := gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) { return nil, nil })
	functions := []list.Function{
		{Name: "open", WebSocket: []list.Route{{Key: "$connect"}}},
		{Name: "echo", WebSocket: []list.Route{{Key: "echo", Reply: true}}},
		{Name: "page", HTTP: []string{"GET /page", "ANY /page/{proxy+}"}},
		{Name: "notify", Events: []list.Event{{Source: "centrifuge", DetailType: "message"}}},
		{Name: "drain", Asynchronous: true},
	}
	for _, test := range []struct {
		name     string
		handlers []string
		err      string
	}{
		{"a handler for every function", []string{"open", "echo", "page", "notify", "drain"}, ""},
		{
			"a function without a handler", []string{"open", "page", "notify", "drain"},
			"function echo has no handler: add it to localstack/stack/stack.go",
		},
		{
			"handlers without a function", []string{"open", "echo", "page", "notify", "drain", "zoom", "chat"},
			"handler chat has no function: add it to functions/routes.go\nhandler zoom has no function: add it to functions/routes.go",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			handlers := map[string]gateway.Function{}
			for _, name := range test.handlers {
				handlers[name] = handler
			}
			r, err := route(functions, handlers, func(name string, f gateway.Function) lambda.Asynchronous {
				return lambda.InProcess{Name: name, Function: f}
			})
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := append(slices.Sorted(maps.Keys(r.webSocket)), r.replies...)
			for _, h := range r.http {
				got = append(got, h.Method+" "+h.Path)
			}
			for _, rule := range r.rules {
				got = append(got, rule.Source+" "+rule.DetailType+" "+rule.Function.(lambda.InProcess).Name)
			}
			got = append(got, slices.Collect(maps.Keys(r.invoked))...)
			want := []string{"$connect", "echo", "echo", "GET /page", "ANY /page/{proxy+}", "centrifuge message notify", "drain"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStartWithoutHandler(t *testing.T) {
	all := list.All
	t.Cleanup(func() { list.All = all })
	list.All = append(slices.Clone(all), list.Function{Name: "unhandled"})
	s, err := Start(t.Context(), Options{})
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "function unhandled has no handler") {
		t.Errorf("error %v", err)
	}
}
