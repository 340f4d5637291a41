// Package eventbus puts messages on an Amazon EventBridge bus. Centrifuge's own rule
// sends them to webhooks; an owner may add other rules.
//
// It knows how an event is put on a bus. It knows neither the rules, nor which messages are
// events, nor how a message is encoded.
package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"centrifuge/pkg/hub"
)

// The values that rules match events by.
const (
	// Source is the source of every event.
	Source = "centrifuge"
	// DetailType is the detail type of an event that holds a message.
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

// Client is the part of *eventbridge.Client that a Bus uses.
type Client interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Options are the parts of a Bus.
type Options struct {
	// Client repeats requests that fail as a whole. Required.
	Client Client
	// Bus is the name or ARN of the bus. Required.
	Bus string
	// Encode returns the detail of an event, a JSON object. Required.
	Encode func(hub.Message) ([]byte, error)
	// Log gets failures; nil discards them.
	Log *slog.Logger
	// Now is the time of events; nil means time.Now.
	Now func() time.Time
	// Wait waits before an event is put again, until d has passed or ctx ends, whose
	// error it then returns; nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
}

// Bus puts messages on a bus. It is safe for concurrent use.
type Bus struct{ options Options }

var _ hub.Hooks = (*Bus)(nil)

// New returns a Bus.
func New(o Options) *Bus {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Bus{o}
}

// Emit puts messages on the bus, in their order, in one request for every ten that have 256 KB
// together, if nothing fails. A request and its repetitions end within Timeout, or when ctx
// ends. The client repeats a request that failed. Emit repeats the events that an answer
// refuses, up to three times, unless a repetition cannot succeed. It logs each event that failed
// in the last attempt as an error, without the data. An event whose answer was lost is put
// twice: both have the same event_id.
func (b *Bus) Emit(ctx context.Context, messages ...hub.Message) {
	var events []event
	size := 0
	flush := func() {
		if len(events) > 0 {
			b.put(ctx, events)
		}
		events, size = nil, 0
	}
	for _, m := range messages {
		detail, err := b.options.Encode(m)
		if err != nil {
			b.logFailure(ctx, m, fmt.Errorf("encode message: %w", err))
			continue
		}
		if n := len(detail) + envelopeBytes; len(events) == maxEntries || size+n > maxRequestBytes {
			flush()
		}
		size += len(detail) + envelopeBytes
		events = append(events, event{message: m, entry: types.PutEventsRequestEntry{
			EventBusName: &b.options.Bus,
			Source:       aws.String(Source),
			DetailType:   aws.String(DetailType),
			Detail:       aws.String(string(detail)),
			Time:         aws.Time(b.options.Now()),
		}})
	}
	flush()
}

// event is a message and its entry in a request.
type event struct {
	message hub.Message
	entry   types.PutEventsRequestEntry
	refused *refusal // by the last answer
}

func (b *Bus) logFailure(ctx context.Context, m hub.Message, err error) {
	b.options.Log.ErrorContext(ctx, "put event failed",
		"project", m.Channel.Project, "channel", m.Channel.String(), "message", m.ID, "error", err)
}

// put puts the events of one request.
func (b *Bus) put(ctx context.Context, events []event) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	for n := 1; len(events) > 0; n++ {
		input := &eventbridge.PutEventsInput{}
		for _, e := range events {
			input.Entries = append(input.Entries, e.entry)
		}
		output, err := b.options.Client.PutEvents(ctx, input)
		if err != nil {
			for _, e := range events {
				b.logFailure(ctx, e.message, fmt.Errorf("put event: %w", err))
			}
			return
		}
		var again []event
		for i, e := range events {
			switch e.refused = refusalIn(output, i); {
			case e.refused == nil:
			case n == attempts || slices.Contains(final, e.refused.code):
				b.logFailure(ctx, e.message, e.refused)
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
				b.logFailure(ctx, e.message, fmt.Errorf("%w; %w while waiting", e.refused, err))
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
func refusalIn(output *eventbridge.PutEventsOutput, n int) *refusal {
	switch {
	case n >= len(output.Entries) && output.FailedEntryCount > 0:
		return &refusal{"unknown", "no reason is given"}
	case n >= len(output.Entries) || output.Entries[n].ErrorCode == nil:
		return nil
	}
	return &refusal{aws.ToString(output.Entries[n].ErrorCode), aws.ToString(output.Entries[n].ErrorMessage)}
}

// final are the codes, as AWS documents them, of refusals that a repetition cannot change.
var final = []string{
	"AccessDeniedException", "InvalidAccountIdException", "InvalidArgument", "MalformedDetail", "RedactionFailure",
	"NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException",
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
