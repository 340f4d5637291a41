// Package eventbus puts messages and other events on an Amazon EventBridge bus. Centrifuge's own
// rule sends them to webhooks; an owner may add other rules.
//
// It knows how an event is put on a bus: PutEvents is one request, which package signed makes,
// because the SDK's client of EventBridge costs every cold start. It knows neither the rules, nor
// what is an event, nor how a message is encoded.
package eventbus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/signed"
)

// The values that rules match events by.
const (
	// Source is the source of every event.
	Source = "centrifuge"
	// DetailType is the detail type of an event that holds a message. That of another event is its
	// hub.HookType.
	DetailType = "message"
)

const (
	// Timeout bounds the time of a request, with all attempts.
	Timeout = 5 * time.Second
	// maxEntries and maxRequestBytes are the limits of PutEvents. envelopeBytes is what its
	// calculation of the size of an entry adds to the detail, and more.
	maxEntries, maxRequestBytes, envelopeBytes = 10, 256 << 10, 64
	// attempts is how often an event is put at most, if the bus refuses it temporarily.
	attempts = 4
	// pause is the wait after the first refusal; it doubles each time.
	pause = 50 * time.Millisecond
)

// Options are the parts of a Bus.
type Options struct {
	// Bus is the name or ARN of the bus. Required.
	Bus string
	// Region is its region, and Credentials sign the requests. Required.
	Region      string
	Credentials aws.CredentialsProvider
	// Endpoint is the address of another EventBridge; "" means AWS.
	Endpoint string
	// HTTP is that of signed.Options.
	HTTP aws.HTTPClient
	// Encode returns the detail of an event that holds a message, a JSON object. Required.
	Encode func(hub.Message) ([]byte, error)
	// Log gets failures; nil discards them.
	Log *slog.Logger
	// Now is the time of events; nil means time.Now.
	Now func() time.Time
	// Wait waits before a request or an event is put again, until d has passed or ctx ends,
	// whose error it then returns; nil means a timer for a random part of d.
	Wait func(ctx context.Context, d time.Duration) error
}

// Bus puts events on a bus. It is safe for concurrent use.
type Bus struct {
	options Options
	events  *signed.Service
}

var _ hub.Hooks = (*Bus)(nil)

// New returns a Bus. It makes no request. It fails, naming the part, where one is missing or
// invalid.
func New(o Options) (*Bus, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = signed.Wait
	}
	events, err := signed.New(signed.Options{
		Name: "events", Region: o.Region, Credentials: o.Credentials, Endpoint: o.Endpoint, HTTP: o.HTTP, Wait: o.Wait, Now: o.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("event bus: %w", err)
	}
	return &Bus{o, events}, nil
}

// Emit puts messages on the bus, in their order, in one request for every ten that have 256 KB
// together, if nothing fails. A request and its repetitions end within Timeout, or when ctx
// ends. A request that failed is repeated as signed.Service.Post does. Emit repeats the events that
// an answer refuses, up to three times, unless a repetition cannot succeed. It logs each event that failed
// in the last attempt as an error, without the data. An event whose answer was lost is put
// twice: both have the same event_id.
func (b *Bus) Emit(ctx context.Context, messages ...hub.Message) {
	var events []event
	for _, m := range messages {
		e := event{kind: DetailType, id: m.ID, channel: m.Channel}
		detail, err := b.options.Encode(m)
		if err != nil {
			b.logFailure(ctx, e, fmt.Errorf("encode message: %w", err))
			continue
		}
		e.entry = b.entry(DetailType, detail, b.options.Now())
		events = append(events, e)
	}
	b.putAll(ctx, events)
}

// Report puts events on the bus as Emit does messages.
func (b *Bus) Report(ctx context.Context, reported ...hub.HookEvent) {
	var events []event
	for _, r := range reported {
		e := event{kind: string(r.Type), id: r.ID, channel: r.Channel}
		e.channel.Project = r.Project // a disconnect has no channel
		detail, err := encodeDetail(r)
		if err != nil {
			b.logFailure(ctx, e, fmt.Errorf("encode event: %w", err))
			continue
		}
		e.entry = b.entry(e.kind, detail, r.Time)
		events = append(events, e)
	}
	b.putAll(ctx, events)
}

func (b *Bus) entry(detailType string, detail []byte, at time.Time) entry {
	return entry{
		EventBusName: b.options.Bus, Source: Source, DetailType: detailType,
		Detail: string(detail), Time: float64(at.UnixMilli()) / 1000,
	}
}

// putAll puts events in as few requests as they fit in.
func (b *Bus) putAll(ctx context.Context, events []event) {
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && n < maxEntries && (n == 0 || size+len(events[n].entry.Detail)+envelopeBytes <= maxRequestBytes) {
			size += len(events[n].entry.Detail) + envelopeBytes
			n++
		}
		b.put(ctx, events[:n])
		events = events[n:]
	}
}

// event is an event and its entry in a request.
type event struct {
	kind, id string
	channel  hub.Channel
	entry    entry
	refused  *refusal // by the last answer
}

// entry is an event in a request. The order of its fields is that of the SDK.
type entry struct {
	Detail, DetailType, EventBusName, Source string
	// Time is in seconds since 1970.
	Time float64
}

// input is the body of a request, and output that of its answer.
type (
	input  struct{ Entries []entry }
	output struct {
		FailedEntryCount int
		Entries          []struct{ ErrorCode, ErrorMessage string }
	}
)

var header = map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AWSEvents.PutEvents"}

// putEvents makes the request of PutEvents.
func (b *Bus) putEvents(ctx context.Context, in input) (out output, err error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(in); err != nil {
		return out, err
	}
	text, err := b.events.Post(ctx, "/", header, bytes.TrimSpace(body.Bytes()))
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("decode answer: %w", err)
	}
	return out, nil
}

func (b *Bus) logFailure(ctx context.Context, e event, err error) {
	b.options.Log.ErrorContext(ctx, "put event failed",
		"project", e.channel.Project, "channel", e.channel.String(), "type", e.kind, "message", e.id, "error", err)
}

// put puts the events of one request.
func (b *Bus) put(ctx context.Context, events []event) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	for n := 1; len(events) > 0; n++ {
		var in input
		for _, e := range events {
			in.Entries = append(in.Entries, e.entry)
		}
		out, err := b.putEvents(ctx, in)
		if err != nil {
			for _, e := range events {
				b.logFailure(ctx, e, fmt.Errorf("put event: %w", err))
			}
			return
		}
		var again []event
		for i, e := range events {
			switch e.refused = refusalIn(out, i); {
			case e.refused == nil:
			case n == attempts || slices.Contains(final, e.refused.code):
				b.logFailure(ctx, e, e.refused)
			default:
				again = append(again, e)
			}
		}
		events = again
		if len(events) == 0 {
			return
		}
		if err := b.options.Wait(ctx, pause<<(n-1)); err != nil {
			for _, e := range events {
				b.logFailure(ctx, e, fmt.Errorf("%w; %w while waiting", e.refused, err))
			}
			return
		}
	}
}

// refusal is the reason why an event was refused in the answer to a request that succeeded.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return "event refused: " + r.code + ": " + r.message }

// refusalIn returns the refusal of the nth event that was put, or nil. The entries of an answer
// have the order of those in the request.
func refusalIn(out output, n int) *refusal {
	switch {
	case n >= len(out.Entries) && out.FailedEntryCount > 0:
		return &refusal{"unknown", "no reason is given"}
	case n >= len(out.Entries) || out.Entries[n].ErrorCode == "":
		return nil
	}
	return &refusal{out.Entries[n].ErrorCode, out.Entries[n].ErrorMessage}
}

// final are the codes, as AWS documents them, of refusals that a repetition cannot change.
var final = []string{
	"AccessDeniedException", "InvalidAccountIdException", "InvalidArgument", "MalformedDetail", "RedactionFailure",
	"NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException",
}
