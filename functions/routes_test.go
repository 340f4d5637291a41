package functions_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/pkg/config"
	"centrifuge/pkg/eventbus"
	"centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
)

func TestFolders(t *testing.T) {
	mains, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var folders, names []string
	for _, main := range mains {
		folders = append(folders, filepath.Dir(main))
	}
	for _, f := range functions.All {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(folders, names); diff != "" {
		t.Errorf("the folders with a main package and the list differ (-folders +list):\n%s", diff)
	}
}

func TestEventSources(t *testing.T) {
	http := regexp.MustCompile(`^(GET|HEAD|POST|PUT|DELETE|ANY) /\S*[^/ ]$`)
	owner := map[string]string{}
	for _, r := range functions.Mocks {
		if _, taken := owner[r]; taken || strings.HasPrefix(r, "$") {
			t.Errorf("route %s cannot be without a function", r)
		}
		owner[r] = "no function"
	}
	for _, f := range functions.All {
		var routes []string
		for _, r := range f.WebSocket {
			routes = append(routes, r.Key)
			if r.Reply == (r.Key == "$connect" || r.Key == "$disconnect") {
				t.Errorf("%s: route %s: reply is %v", f.Name, r.Key, r.Reply)
			}
		}
		for _, r := range f.HTTP {
			routes = append(routes, r)
			if !http.MatchString(r) {
				t.Errorf("%s: not a route of an HTTP API: %q", f.Name, r)
			}
		}
		for _, r := range routes {
			if other, taken := owner[r]; taken {
				t.Errorf("route %s invokes %s and %s", r, other, f.Name)
			}
			owner[r] = f.Name
		}
		kinds := 0
		for _, is := range []bool{len(f.WebSocket) > 0, len(f.HTTP) > 0, len(f.Events) > 0, f.Asynchronous} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s has %d kinds of event sources, want 1", f.Name, kinds)
		}
		// A schedule comes again, and a ping of yesterday is of no use.
		if asynchronous := len(f.Events) > 0 || f.Asynchronous && f.Schedule == ""; f.DeadLetters != asynchronous {
			t.Errorf("%s: dead letters are %v, asynchronous invocations are %v", f.Name, f.DeadLetters, asynchronous)
		}
	}
}

func TestInvokes(t *testing.T) {
	asynchronous, invoked := map[string]bool{}, map[string]bool{}
	for _, f := range functions.All {
		if f.Asynchronous {
			asynchronous[f.Name] = true
		}
		for _, name := range f.Invokes {
			invoked[name] = true
		}
	}
	if diff := cmp.Diff(asynchronous, invoked); diff != "" {
		t.Errorf("the asynchronous functions and those that functions invoke differ (-asynchronous +invoked):\n%s", diff)
	}
}

func TestPosts(t *testing.T) {
	for _, f := range functions.All {
		if posts := slices.Contains(f.Connections, "POST"); posts != (f.Posts > 0) {
			t.Errorf("%s: may post is %v, concurrent posts are %d", f.Name, posts, f.Posts)
		}
	}
}

func TestEventConstants(t *testing.T) {
	want := []functions.Event{{Source: eventbus.Source, DetailType: eventbus.DetailType}}
	for _, kind := range hub.HookTypes {
		want = append(want, functions.Event{Source: eventbus.Source, DetailType: string(kind)})
	}
	for _, f := range functions.All {
		for _, got := range slices.Concat(f.Events, f.Puts) {
			if !slices.Contains(want, got) {
				t.Errorf("%s: event %+v, want one of %+v", f.Name, got, want)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	everything := functions.Addresses{
		Table: "table", ManagementURL: "management", WebSocketURL: "websocket", HTTPURL: "http",
		EventBus: "bus", MetricsNamespace: "namespace", DispatchFunction: "stack-dispatch", PingFunction: "stack-ping",
	}
	for _, test := range []struct {
		name      string
		function  functions.Function
		addresses functions.Addresses
		want      map[string]string
	}{
		{"no fields", functions.Function{}, everything, map[string]string{config.Table: "table"}},
		{
			"a hub that may not post", functions.Function{Hub: true}, everything,
			map[string]string{config.Table: "table", config.ManagementURL: "management"},
		},
		{
			"a hub that may post", functions.Function{Hub: true, Connections: []string{"POST"}}, everything,
			map[string]string{config.Table: "table", config.ManagementURL: "management", config.MetricsNamespace: "namespace"},
		},
		{
			"concurrent posts", functions.Function{Posts: 16}, everything,
			map[string]string{config.Table: "table", config.Concurrency: "16"},
		},
		{
			"events", functions.Function{Puts: make([]functions.Event, 1)}, everything,
			map[string]string{config.Table: "table", config.EventBus: "bus"},
		},
		{
			"events without a bus", functions.Function{Puts: make([]functions.Event, 1)}, functions.Addresses{Table: "table"},
			map[string]string{config.Table: "table"},
		},
		{
			"invocations", functions.Function{Invokes: []string{functions.Dispatch}}, everything,
			map[string]string{config.Table: "table", config.DispatchFunction: "stack-dispatch"},
		},
		{
			"invocations of itself", functions.Function{Invokes: []string{functions.Ping}, Pings: true}, everything,
			map[string]string{config.Table: "table", config.PingFunction: "stack-ping"},
		},
		{
			"a deployment without pings", functions.Function{Pings: true}, functions.Addresses{Table: "table"},
			map[string]string{config.Table: "table"},
		},
		{
			"pages", functions.Function{Pages: true}, everything,
			map[string]string{config.Table: "table", config.WebSocketURL: "websocket", config.HTTPURL: "http", config.SDK: "centrifuge.js"},
		},
		{
			"fixed variables", functions.Function{Variables: map[string]string{config.DemoProject: "demo"}}, everything,
			map[string]string{config.Table: "table", config.DemoProject: "demo"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.function.Environment(test.addresses)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestReserve holds the reserve that the capacity is computed with to that of the
// handlers.
func TestReserve(t *testing.T) {
	if functions.Reserve != gateway.Reserve {
		t.Errorf("functions.Reserve is %v, gateway.Reserve is %v", functions.Reserve, gateway.Reserve)
	}
}
