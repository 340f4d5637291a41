// Package metrics writes the results of dispatches as CloudWatch metrics in the embedded
// metric format: one line in the log of the function for each dispatch. CloudWatch Logs
// makes metrics from it without a call, a client or a permission.
//
// It does not know how messages are dispatched. API Gateway itself counts connections and
// frames.
package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

// The names of the metrics in CloudWatch. They have no dimensions: each stack has its
// own namespace.
const (
	// Messages counts messages that were published or broadcast, joins and leaves. A
	// dispatch to an audience that is not their channel, such as the admin feed, does not
	// count, so that each counts once.
	Messages = "Messages"
	// Deliveries, Gone, Slow and Failed are the counts of hub.Result.
	Deliveries = "Deliveries"
	Gone       = "Gone"
	Slow       = "Slow"
	Failed     = "Failed"
	// Errors counts dispatches that did not begin a post to every subscriber. A mistake of
	// the sender, such as a message that is too large, does not count.
	Errors = "Errors"
	// PublishLatency is the time in milliseconds from the beginning of a dispatch to
	// the end of its last post.
	PublishLatency = "PublishLatency"
)

// Dispatcher is a hub.Dispatcher that writes metrics. It is safe for concurrent use.
type Dispatcher struct {
	hub.Dispatcher
	namespace string
	now       func() time.Time

	mu  sync.Mutex
	out io.Writer
}

// Watch returns a dispatcher that does what d does and writes a line to w for every
// dispatch, for metrics in this namespace. now is the clock.
func Watch(d hub.Dispatcher, namespace string, w io.Writer, now func() time.Time) *Dispatcher {
	return &Dispatcher{Dispatcher: d, namespace: namespace, out: w, now: now}
}

// Dispatch has the contract of hub.Dispatcher. It ignores a failure to write the line.
func (d *Dispatcher) Dispatch(ctx context.Context, to hub.Audience, messages []hub.Message) (hub.Result, error) {
	began := d.now()
	result, err := d.Dispatcher.Dispatch(ctx, to, messages)
	ended := d.now()
	counted := 0
	if len(messages) > 0 && messages[0].Channel == to.Channel {
		counted = len(messages)
	}
	failed := err
	if err == nil {
		failed = result.Err()
	}
	failures := 0
	if known := new(hub.Error); failed != nil && !errors.As(failed, &known) {
		failures = 1
	}
	d.write(ended, map[string]any{
		Messages: counted, Deliveries: result.Delivered, Gone: len(result.Gone), Slow: result.Slow, Failed: result.Failed,
		Errors: failures, PublishLatency: float64(ended.Sub(began).Microseconds()) / 1000,
	})
	return result, err
}

// metric is a metric as the embedded metric format declares it.
type metric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// declared are the metrics of every line.
var declared = []metric{
	{Messages, "Count"}, {Deliveries, "Count"}, {Gone, "Count"}, {Slow, "Count"}, {Failed, "Count"}, {Errors, "Count"},
	{PublishLatency, "Milliseconds"},
}

// write adds the declaration to values and writes them as one line, as described
// in "Specification: Embedded metric format" of the CloudWatch documentation.
func (d *Dispatcher) write(at time.Time, values map[string]any) {
	type directive struct {
		Namespace  string     `json:"Namespace"`
		Dimensions [][]string `json:"Dimensions"`
		Metrics    []metric   `json:"Metrics"`
	}
	values["_aws"] = struct {
		Timestamp         int64       `json:"Timestamp"`
		CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
	}{at.UnixMilli(), []directive{{d.namespace, [][]string{{}}, declared}}}
	line, err := json.Marshal(values)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = d.out.Write(append(line, '\n'))
}
