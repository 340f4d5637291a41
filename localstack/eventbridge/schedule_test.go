package eventbridge_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/lambda"
)

// TestEveryMinute lets a schedule run for a while, from half a minute past midnight on.
func TestEveryMinute(t *testing.T) {
	for name, c := range map[string]struct {
		minute, after time.Duration
		want          []string
	}{
		"minutes of the clock": {time.Minute, 3 * time.Minute, []string{"2000-01-01T00:01:00Z", "2000-01-01T00:02:00Z", "2000-01-01T00:03:00Z"}},
		"compressed minutes":   {time.Second, 3500 * time.Millisecond, []string{"2000-01-01T00:01:00Z", "2000-01-01T00:02:00Z", "2000-01-01T00:03:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(30 * time.Second) // a bubble begins at midnight
				function := new(recorder)
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				eventbridge.EveryMinute(ctx, c.minute, []lambda.Asynchronous{function})
				var got []string
				for _, event := range function.events {
					var e events.EventBridgeEvent
					if err := json.Unmarshal([]byte(event), &e); err != nil || e.DetailType != "Scheduled Event" || e.Source != "aws.events" || string(e.Detail) != "{}" {
						t.Errorf("event %s, error %v", event, err)
					}
					got = append(got, e.Time.Format(time.RFC3339))
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("minutes (-want +got):\n%s", d)
				}
			})
		})
	}
}
