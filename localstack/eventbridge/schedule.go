package eventbridge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/localstack/lambda"
)

// EveryMinute invokes functions every minute, as a rule with the schedule "cron(* * * * ? *)" does, until
// ctx ends. A minute takes as long as minute says: shorter ones run ahead of the clock.
func EveryMinute(ctx context.Context, minute time.Duration, functions []lambda.Asynchronous) {
	now := time.Now().UTC().Truncate(time.Minute)
	next := minute
	if minute == time.Minute {
		next = time.Until(now.Add(time.Minute))
	}
	for timer := time.NewTimer(next); ; timer.Reset(minute) {
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if now = now.Add(time.Minute); minute == time.Minute {
			now = time.Now().UTC().Truncate(time.Minute)
		}
		event, err := encode(events.EventBridgeEvent{
			Version: "0", ID: rand.Text(), DetailType: "Scheduled Event", Source: "aws.events", AccountID: "000000000000", Time: now, Region: "us-east-1",
			Resources: []string{"arn:aws:events:us-east-1:000000000000:rule/every-minute"}, Detail: json.RawMessage("{}"),
		})
		if err != nil {
			return
		}
		for _, f := range functions {
			_ = f.InvokeAsync(event) // it fails when its service is closed
		}
	}
}
