package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/metrics"
)

// dispatcher returns a result and an error that the test chooses.
type dispatcher struct {
	hub.Dispatcher
	result hub.Result
	err    error
}

func (d dispatcher) Dispatch(context.Context, hub.Audience, []hub.Message) (hub.Result, error) {
	return d.result, d.err
}

func (d dispatcher) Ping(context.Context, hub.Protocol, []string) (hub.Result, error) {
	return d.result, d.err
}

func TestPingMetrics(t *testing.T) {
	var out strings.Builder
	d := dispatcher{result: hub.Result{Delivered: 1000, Gone: make([]hub.Gone, 3), Slow: 2, Failed: 1}}
	result, err := metrics.Watch(d, "Centrifuge/test", &out, func() time.Time { return time.UnixMilli(1_800_000_000_000) }).
		Ping(t.Context(), hub.Centrifugo, nil)
	if diff := cmp.Diff(d.result, result); diff != "" || err != nil {
		t.Errorf("error %v, -expected +returned\n%s", err, diff)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "_aws")
	if diff := cmp.Diff(map[string]any{"Deliveries": 1000.0, "Gone": 3.0, "Slow": 2.0, "Failed": 1.0}, got); diff != "" {
		t.Errorf("-expected +written:\n%s", diff)
	}
}

func TestDispatchMetrics(t *testing.T) {
	ch := hub.Channel{Project: "p", Category: "c", Name: "n"}
	broken := errors.New("the encoder is broken")
	for _, tt := range []struct {
		name       string
		dispatcher dispatcher
		messages   int
		want       map[string]any
	}{
		{"a message without subscribers", dispatcher{}, 1, map[string]any{
			"Messages": 1.0, "Deliveries": 0.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 0.0, "PublishLatency": 12.5}},
		{"two messages with many subscribers", dispatcher{result: hub.Result{Delivered: 1000, Gone: make([]hub.Gone, 3), Slow: 2, Failed: 1}}, 2, map[string]any{
			"Messages": 2.0, "Deliveries": 1000.0, "Gone": 3.0, "Slow": 2.0, "Failed": 1.0, "Errors": 0.0, "PublishLatency": 12.5}},
		{"unread subscribers", dispatcher{result: hub.Result{Delivered: 7, Unread: []hub.Unread{{Cause: "throttled"}}}}, 1, map[string]any{
			"Messages": 1.0, "Deliveries": 7.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 1.0, "PublishLatency": 12.5}},
		{"another audience than the channel", dispatcher{result: hub.Result{Delivered: 7, Unread: []hub.Unread{{Cause: "throttled"}}}}, 1, map[string]any{
			"Deliveries": 7.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0}},
		{"posts that were not begun", dispatcher{result: hub.Result{Failed: 5, Unsent: 5}}, 1, map[string]any{
			"Messages": 1.0, "Deliveries": 0.0, "Gone": 0.0, "Slow": 0.0, "Failed": 5.0, "Errors": 1.0, "PublishLatency": 12.5}},
		{"an internal failure", dispatcher{err: broken}, 1, map[string]any{
			"Messages": 1.0, "Deliveries": 0.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 1.0, "PublishLatency": 12.5}},
		{"a message that is too large", dispatcher{err: hub.ErrTooLarge}, 1, map[string]any{
			"Messages": 1.0, "Deliveries": 0.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 0.0, "PublishLatency": 12.5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			now := time.UnixMilli(1_800_000_000_000)
			clock := func() time.Time { now = now.Add(12500 * time.Microsecond); return now }
			messages := make([]hub.Message, tt.messages)
			messages[0].Channel = ch
			to := hub.Audience{Channel: ch, Shards: 1}
			if _, counted := tt.want["Messages"]; !counted {
				to.Channel = hub.Feed("p")
			}
			result, err := metrics.Watch(tt.dispatcher, "Centrifuge/test", &out, clock).Dispatch(t.Context(), to, messages)
			if diff := cmp.Diff(tt.dispatcher.result, result); diff != "" || !errors.Is(err, tt.dispatcher.err) {
				t.Errorf("error %v, -expected +returned\n%s", err, diff)
			}
			var declared []any
			for _, name := range []string{"Deliveries", "Gone", "Slow", "Failed", "Messages", "Errors", "PublishLatency"} {
				unit := "Count"
				if name == "PublishLatency" {
					unit = "Milliseconds"
				}
				if _, written := tt.want[name]; written {
					declared = append(declared, map[string]any{"Name": name, "Unit": unit})
				}
			}
			tt.want["_aws"] = map[string]any{
				"Timestamp":         1_800_000_000_025.0,
				"CloudWatchMetrics": []any{map[string]any{"Namespace": "Centrifuge/test", "Dimensions": []any{[]any{}}, "Metrics": declared}},
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(out.String()), &got); err != nil || strings.Count(out.String(), "\n") != 1 {
				t.Fatalf("not one line of JSON: %v: %q", err, out.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +written:\n%s", diff)
			}
		})
	}
}
