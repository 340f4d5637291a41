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

// delivery is a delivery that ends as the test says.
type delivery struct {
	hub.Delivery
	report hub.Report
	err    error
}

func (d delivery) Deliver(context.Context, hub.Message, []hub.Audience, func(context.Context, hub.Place) error) (hub.Report, error) {
	return d.report, d.err
}

func TestEveryMessageIsALine(t *testing.T) {
	broken := errors.New("the table is gone")
	for _, tt := range []struct {
		name     string
		delivery delivery
		want     map[string]any
	}{
		{"a message to nobody", delivery{}, map[string]any{
			"Messages": 1.0, "Deliveries": 0.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 0.0, "PublishLatency": 12.5}},
		{"a message to many", delivery{report: hub.Report{Delivered: 1000, Gone: 3, Slow: 2, Failed: 1}}, map[string]any{
			"Messages": 1.0, "Deliveries": 1000.0, "Gone": 3.0, "Slow": 2.0, "Failed": 1.0, "Errors": 0.0, "PublishLatency": 12.5}},
		{"a message that failed", delivery{report: hub.Report{Delivered: 7}, err: broken}, map[string]any{
			"Messages": 1.0, "Deliveries": 7.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 1.0, "PublishLatency": 12.5}},
		{"a message too large is its sender's mistake", delivery{err: hub.ErrTooLarge}, map[string]any{
			"Messages": 1.0, "Deliveries": 0.0, "Gone": 0.0, "Slow": 0.0, "Failed": 0.0, "Errors": 0.0, "PublishLatency": 12.5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			now := time.UnixMilli(1_800_000_000_000)
			clock := func() time.Time { now = now.Add(12500 * time.Microsecond); return now }
			report, err := metrics.Watch(tt.delivery, "Centrifuge/test", &out, clock).Deliver(t.Context(), hub.Message{}, nil, nil)
			if report != tt.delivery.report || !errors.Is(err, tt.delivery.err) {
				t.Errorf("the delivery is changed to %+v, %v", report, err)
			}
			count := func(name string) any { return map[string]any{"Name": name, "Unit": "Count"} }
			tt.want["_aws"] = map[string]any{
				"Timestamp": 1_800_000_000_025.0,
				"CloudWatchMetrics": []any{map[string]any{
					"Namespace": "Centrifuge/test", "Dimensions": []any{[]any{}},
					"Metrics": []any{count("Messages"), count("Deliveries"), count("Gone"), count("Slow"), count("Failed"), count("Errors"),
						map[string]any{"Name": "PublishLatency", "Unit": "Milliseconds"}},
				}},
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
