package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
)

const (
	// dispatchTimeout limits the time until a stream is dispatched, dispatchPoll is how often its
	// head is read.
	dispatchTimeout = time.Minute
	dispatchPoll    = 100 * time.Millisecond
)

// testDispatch appends a message to a stream of the project demo, as a publisher does that dies
// then. It invokes the function dispatch, and waits until the message is dispatched. Failing
// invocations are not tested.
func testDispatch(ctx context.Context, endpoint string, o outputs) error {
	ctx, cancel := context.WithTimeoutCause(ctx, dispatchTimeout, fmt.Errorf("the stream was not dispatched within %v", dispatchTimeout))
	defer cancel()
	table := deployedTable(endpoint, o)
	p, err := table.Project(ctx, "demo")
	if err != nil {
		return err
	}
	s, _ := p.Stream(p.Locate(hub.Channel{Project: p.ID, Category: "log", Name: hub.NewID(time.Now())}))
	a, err := table.Append(ctx, s, hub.Message{ID: hub.NewID(time.Now()), Data: json.RawMessage(`{}`)}, hub.AppendOptions{})
	if err != nil {
		return err
	}
	dead := hub.Lease{ID: hub.NewID(time.Now()), Until: time.Now().Add(-hub.LeaseTime)}
	if _, err := table.Announce(ctx, s, a, dead); err != nil {
		return err
	}
	f, err := delivery.NewFunction(delivery.FunctionOptions{
		Name: o.DispatchFunction, Region: region, Endpoint: endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(testCredential, testCredential, ""),
	})
	if err != nil {
		return err
	}
	if err := f.Invoke(ctx, s.Channel); err != nil {
		return err
	}
	for poll := time.NewTicker(dispatchPoll); ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
		head, err := table.StreamHead(ctx, s)
		if err != nil {
			return err
		}
		if head.Done == a.Message.Position.Offset && head.Lease.ID == "" {
			return nil
		}
	}
}
