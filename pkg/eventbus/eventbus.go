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
	// Timeout bounds the time to put an event, with all attempts.
	Timeout = 5 * time.Second
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

// Emit puts m on the bus, in one request if nothing fails. It returns within Timeout, or
// when ctx ends. The client repeats a request that failed. Emit repeats an event that the
// answer refuses, up to three times, unless a repetition cannot succeed. It logs a failure
// of the last attempt as an error, without the data. An event whose answer was lost is put
// twice: both have the same event_id.
func (b *Bus) Emit(ctx context.Context, m hub.Message) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if err := b.emit(ctx, m); err != nil {
		b.options.Log.ErrorContext(ctx, "put event failed",
			"project", m.Channel.Project, "channel", m.Channel.String(), "message", m.ID, "error", err)
	}
}

func (b *Bus) emit(ctx context.Context, m hub.Message) error {
	detail, err := b.options.Encode(m)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	input := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.options.Bus,
		Source:       aws.String(Source),
		DetailType:   aws.String(DetailType),
		Detail:       aws.String(string(detail)),
		Time:         aws.Time(b.options.Now()),
	}}}
	for n := 1; ; n++ {
		output, err := b.options.Client.PutEvents(ctx, input)
		if err != nil {
			return fmt.Errorf("put event: %w", err)
		}
		refused := refusalIn(output)
		if refused == nil {
			return nil
		}
		if n == attempts || slices.Contains(final, refused.code) {
			return refused
		}
		if err := b.options.Wait(ctx, pause<<(n-1)); err != nil {
			return fmt.Errorf("%w; %w while waiting", refused, err)
		}
	}
}

// refusal is the reason why an event was refused in the answer to a request that succeeded.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return "event refused: " + r.code + ": " + r.message }

// refusalIn returns the refusal of the one event that was put, or nil.
func refusalIn(output *eventbridge.PutEventsOutput) *refusal {
	for _, e := range output.Entries {
		if e.ErrorCode != nil {
			return &refusal{aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage)}
		}
	}
	if output.FailedEntryCount > 0 {
		return &refusal{"unknown", "no reason is given"}
	}
	return nil
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
