package app_test

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/app"
	"centrifuge/pkg/config"
	"centrifuge/pkg/gateway"
)

// keys returns the keys of a JSON object in their order, with repetitions.
func keys(t *testing.T, line string) (all []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	for depth, key := 0, true; ; {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			key = true
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if depth == 1 && key {
				all = append(all, token.(string))
				key = false
				continue
			}
		}
		key = true
	}
}

// TestRequestIDs logs a frame that is refused. Its line has the id of API Gateway's
// request and that of Lambda's.
func TestRequestIDs(t *testing.T) {
	var log strings.Builder
	a, err := app.New(func(name string) string {
		return map[string]string{
			config.Table: "t", config.Region: "eu-west-1", config.ManagementURL: "http://127.0.0.1:1", config.LogLevel: "debug",
		}[name]
	}, &log)
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayWebsocketProxyRequest
	e.RequestContext.RouteKey, e.RequestContext.ConnectionID, e.RequestContext.RequestID = "auth", "c", "frame"
	e.RequestContext.EventType, e.Body = "MESSAGE", "not JSON"
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "invocation"})
	if _, err := gateway.Auth(a.Hub, a.Log)(ctx, e); err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	if line["request"] != "invocation" || line["event_request"] != "frame" {
		t.Errorf("request %v, event_request %v: want invocation, frame", line["request"], line["event_request"])
	}
	got := keys(t, log.String())
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(line)), got); diff != "" {
		t.Errorf("a key is there twice:\n%s", diff)
	}
}
