package sdk_test

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// target is a stack to converse with.
type target struct {
	name  string
	start func(t *testing.T) rig
}

// The targets on this machine: the local stack as it is, one where frames and posts overtake each
// other, and one with the functions as processes.
var (
	inProcess = target{"functions in this process", func(t *testing.T) rig { return start(t, stack.Options{}) }}
	jitter    = target{"jitter", func(t *testing.T) rig {
		return start(t, stack.Options{Gateway: gateway.Options{Jitter: 40 * time.Millisecond}})
	}}
	processes = target{"functions as processes", func(t *testing.T) rig {
		// A client waits for five seconds where an invocation is throttled.
		return start(t, stack.Options{Lambda: &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{Concurrency: 100}}})
	}}
)

// centrifugoPath is the feature that clients connect at the path of Centrifugo.
const centrifugoPath = "centrifugo-path"

// targets are the target that the environment describes, or else local ones.
func targets(t *testing.T, local ...target) []target {
	t.Helper()
	deployed, found, err := e2e.FromEnvironment(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if found {
		for name := range deployed.Lacks {
			if name != centrifugoPath {
				t.Fatalf("the target lacks %s, but no conversation needs it: remove it from the list", name)
			}
		}
		return []target{{deployed.WebSocketURL, func(*testing.T) rig { return newRig(deployed) }}}
	}
	return local
}

// report adds a line to the report on a deployed target: how many of an SDK's conversations
// succeeded.
func report(t *testing.T, sdk string, all, succeeded int) {
	t.Helper()
	path := os.Getenv(e2e.ReportVariable)
	if path == "" || os.Getenv(e2e.HTTPURLVariable) == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.NewEncoder(f).Encode(e2e.Report{Target: sdk, Scripts: all, Run: succeeded}), f.Close()); err != nil {
		t.Error(err)
	}
}

// TestConversations lets clients of centrifuge-go converse with every target.
func TestConversations(t *testing.T) {
	for _, tt := range targets(t, inProcess, jitter, processes) {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.start(t)
			run := "-" + strconv.FormatInt(time.Now().UnixMilli(), 36) // the table may have the channels of another run
			var succeeded atomic.Int64
			t.Run("all", func(t *testing.T) {
				for name, converse := range conversations {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						converse(t, r, strings.ReplaceAll(name, " ", "-")+run)
						if !t.Failed() {
							succeeded.Add(1)
						}
					})
				}
			})
			report(t, "centrifuge-go", len(conversations), int(succeeded.Load()))
		})
	}
}
