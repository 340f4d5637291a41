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
	// Messages counts messages that were published or broadcast, joins and leaves. It,
	// Errors and PublishLatency leave out a dispatch to an audience that is not the
	// channel of the messages: the admin feed.
	Messages = "Messages"
	// Deliveries, Gone, Slow and Failed are the counts of hub.Result.
	Deliveries = "Deliveries"
	Gone       = "Gone"
	Slow       = "Slow"
	Failed     = "Failed"
	// Errors counts dispatches that did not begin a post to every subscriber, or reached
	// nobody because API Gateway refused the posts. A mistake of the sender, such as a
	// message that is too large, does not count.
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
	metrics := posts(result)
	if len(messages) > 0 && messages[0].Channel == to.Channel {
		metrics = append(metrics,
			metric{Messages, count, len(messages)}, metric{Errors, count, failures(result, err)},
			metric{PublishLatency, milliseconds, float64(ended.Sub(began).Microseconds()) / 1000})
	}
	d.write(ended, metrics)
	return result, err
}

// Ping has the contract of hub.Dispatcher. A ping counts like a message to one subscriber, and is
// no message.
func (d *Dispatcher) Ping(ctx context.Context, p hub.Protocol, connections []string) (hub.Result, error) {
	result, err := d.Dispatcher.Ping(ctx, p, connections)
	d.write(d.now(), posts(result))
	return result, err
}

// posts are the metrics of the posts of a result.
func posts(result hub.Result) line {
	return line{
		{Deliveries, count, result.Delivered}, {Gone, count, len(result.Gone)}, {Slow, count, result.Slow}, {Failed, count, result.Failed},
	}
}

// failures is 1 for a dispatch that Errors counts, otherwise 0.
func failures(result hub.Result, err error) int {
	if err == nil {
		err = result.Err()
	}
	if known := new(hub.Error); err == nil || errors.As(err, &known) {
		return 0
	}
	return 1
}

// The units of metrics in CloudWatch.
const (
	count        = "Count"
	milliseconds = "Milliseconds"
)

// line is the metrics of one line.
type line []metric

type metric struct {
	name, unit string
	value      any
}

// write writes a line with its declaration, as described in "Specification: Embedded
// metric format" of the CloudWatch documentation.
func (d *Dispatcher) write(at time.Time, metrics line) {
	type declaration struct {
		Name string `json:"Name"`
		Unit string `json:"Unit"`
	}
	type directive struct {
		Namespace  string        `json:"Namespace"`
		Dimensions [][]string    `json:"Dimensions"`
		Metrics    []declaration `json:"Metrics"`
	}
	values := make(map[string]any, len(metrics)+1)
	declared := make([]declaration, len(metrics))
	for i, m := range metrics {
		values[m.name], declared[i] = m.value, declaration{m.name, m.unit}
	}
	values["_aws"] = struct {
		Timestamp         int64       `json:"Timestamp"`
		CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
	}{at.UnixMilli(), []directive{{d.namespace, [][]string{{}}, declared}}}
	encoded, err := json.Marshal(values)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = d.out.Write(append(encoded, '\n'))
}
