// Package metrics tells CloudWatch what became of every message, in the embedded
// metric format: one line of the function's log a message, from which CloudWatch
// Logs makes metrics without a call, a client or a permission.
//
// It watches deliveries from outside and knows neither how they are made nor who
// reads the log. Connections and frames are counted by API Gateway itself.
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

// The metrics, by their names in CloudWatch. They have no dimensions: a stack is
// told from another by its namespace.
const (
	// Messages counts what was published or broadcast, and what tells who joined or
	// left.
	Messages = "Messages"
	// Deliveries, Gone, Slow and Failed count posts as hub.Report does.
	Deliveries = "Deliveries"
	Gone       = "Gone"
	Slow       = "Slow"
	Failed     = "Failed"
	// Errors counts messages whose subscribers could not all be read. What a sender
	// got wrong, such as a message too large, is none.
	Errors = "Errors"
	// PublishLatency is the time in milliseconds from the beginning of a delivery to
	// the end of its last post.
	PublishLatency = "PublishLatency"
)

// Delivery is a hub.Delivery that is watched. It is safe for concurrent use.
type Delivery struct {
	hub.Delivery
	namespace string
	now       func() time.Time

	mu  sync.Mutex
	out io.Writer
}

// Watch returns a delivery that does what d does and writes a line to w for every
// message, for metrics in this namespace. now is the clock.
func Watch(d hub.Delivery, namespace string, w io.Writer, now func() time.Time) *Delivery {
	return &Delivery{Delivery: d, namespace: namespace, out: w, now: now}
}

// Deliver has the contract of hub.Delivery. That a line could not be written is
// nobody's concern.
func (d *Delivery) Deliver(ctx context.Context, m hub.Message, to []hub.Audience, gone func(context.Context, hub.Place) error) (hub.Report, error) {
	began := d.now()
	report, err := d.Delivery.Deliver(ctx, m, to, gone)
	ended := d.now()
	failure := 0
	if known := new(hub.Error); err != nil && !errors.As(err, &known) {
		failure = 1
	}
	d.write(ended, map[string]any{
		Messages: 1, Deliveries: report.Delivered, Gone: report.Gone, Slow: report.Slow, Failed: report.Failed,
		Errors: failure, PublishLatency: float64(ended.Sub(began).Microseconds()) / 1000,
	})
	return report, err
}

// metric is a metric as the embedded metric format declares it.
type metric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// declared are the metrics of a line.
var declared = []metric{
	{Messages, "Count"}, {Deliveries, "Count"}, {Gone, "Count"}, {Slow, "Count"}, {Failed, "Count"}, {Errors, "Count"},
	{PublishLatency, "Milliseconds"},
}

// write adds the declaration to values and writes them as one line, as described
// in "Specification: Embedded metric format" of the CloudWatch documentation.
func (d *Delivery) write(at time.Time, values map[string]any) {
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
