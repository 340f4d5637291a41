package delivery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math"
	"sync"

	"centrifuge/pkg/hub"
)

// Subscribers reads the subscribers of channels.
type Subscribers interface {
	// Subscribers has the contract of hub.Subscriptions.
	Subscribers(ctx context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Subscriber, error]
}

// Options are the parts of a Direct. All except Notices and Log are required.
type Options struct {
	Subscribers Subscribers
	// Poster carries the bound on concurrency, for all dispatches together.
	Poster *Poster
	// Encoders make the pushes of each protocol.
	Encoders map[hub.Protocol]Encoder
	// Notices make the pushes of notices; a protocol without one has none.
	Notices map[hub.Protocol]NoticeEncoder
	// Log gets one line for each dispatch: at debug, or as a warning if posts were slow or
	// failed. nil discards it.
	Log *slog.Logger
}

// Direct dispatches in the invocation that publishes. It is safe for concurrent use;
// concurrent dispatches take the Poster's slots in turns, so that a large channel does
// not delay a small one. Concurrent dispatches to one channel may overtake each other.
type Direct struct {
	subscribers Subscribers
	poster      *Poster
	encoders    map[hub.Protocol]Encoder
	notices     map[hub.Protocol]NoticeEncoder
	log         *slog.Logger
}

var _ hub.Dispatcher = (*Direct)(nil)

// New returns a Direct.
func New(o Options) *Direct {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Direct{o.Subscribers, o.Poster, o.Encoders, o.Notices, o.Log}
}

// Dispatch has the contract of hub.Dispatcher. A subscriber gets the messages in their
// order; after the first frame that cannot be posted it gets none of the others. The size of
// a frame is checked in every protocol, also in those that no subscriber uses.
func (d *Direct) Dispatch(ctx context.Context, to hub.Audience, messages []hub.Message) (hub.Result, error) {
	if len(messages) == 0 {
		return hub.Result{}, nil
	}
	frames, err := d.encode(messages)
	if err != nil {
		return hub.Result{}, fmt.Errorf("dispatch to %s: %w", to.Channel, err)
	}
	f := &fanout{
		to:               to,
		messages:         messages,
		poster:           d.poster,
		encoders:         d.encoders,
		frames:           frames,
		rests:            make(map[rest][]*Payload),
		unknownProtocols: make(map[hub.Protocol]int),
		queue:            make(chan post),
	}
	f.run(ctx, d.subscribers)
	d.logResult(ctx, messages, f)
	return f.result, nil
}

// longest is the position with the longest encoding.
var longest = hub.Position{Epoch: "ffffffffffffffffffffffff", Offset: math.MaxUint64}

// Check has the contract of hub.Dispatcher.
func (d *Direct) Check(m hub.Message) error {
	m.Position = longest
	_, err := d.encode([]hub.Message{m})
	return err
}

// encode makes the frames of every format. To encode only for formats that have
// subscribers would save microseconds, but the limit on a message would depend on its
// subscribers.
func (d *Direct) encode(messages []hub.Message) (map[format][]*Payload, error) {
	frames := make(map[format][]*Payload, 2*len(d.encoders))
	for protocol, encode := range d.encoders {
		single, batch := format{protocol, false}, format{protocol, true}
		var err error
		if frames[single], err = payloads(encode(messages, false)); err != nil {
			return nil, fmt.Errorf("encode %s: %w", protocol, err)
		}
		if len(messages) == 1 {
			frames[batch] = frames[single]
			continue
		}
		if frames[batch], err = payloads(encode(messages, true)); err != nil {
			return nil, fmt.Errorf("encode %s in batches: %w", protocol, err)
		}
	}
	return frames, nil
}

// payloads are the payloads of frames, if there is no error. It fails with hub.ErrTooLarge for
// a frame that cannot be posted.
func payloads(bodies [][]byte, err error) ([]*Payload, error) {
	if err != nil {
		return nil, err
	}
	all := make([]*Payload, len(bodies))
	for i, body := range bodies {
		if len(body) > hub.MaxMessageBytes {
			return nil, hub.ErrTooLarge
		}
		all[i] = NewPayload(body)
	}
	return all, nil
}

func (d *Direct) logResult(ctx context.Context, messages []hub.Message, f *fanout) {
	level := slog.LevelDebug
	r := f.result
	text, channel := "message dispatched", slog.String("channel", f.to.Channel.String())
	if f.to.Channel == hub.Feed(f.to.Channel.Project) {
		text, channel = "feed dispatched", slog.Attr{} // the name of the feed is no channel of the project
	}
	attrs := []slog.Attr{
		slog.String("project", messages[0].Channel.Project),
		channel,
		slog.String("message", messages[0].ID),
		slog.Int("messages", len(messages)),
		slog.Int("delivered", r.Delivered),
		slog.Int("gone", len(r.Gone)),
		slog.Int("ended", len(r.Ended)),
		slog.Int("slow", r.Slow),
		slog.Int("failed", r.Failed),
	}
	if r.Slow > 0 || r.Failed > 0 {
		level = slog.LevelWarn
	}
	if len(r.Lost) > 0 {
		attrs = append(attrs, slog.Int("lost", len(r.Lost)))
	}
	if f.cause != nil {
		attrs = append(attrs, slog.Any("error", f.cause))
	}
	if len(f.unknownProtocols) > 0 {
		attrs = append(attrs, slog.Any("unknown_protocols", f.unknownProtocols))
	}
	if len(r.Unread) > 0 {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("unread", r.Unread))
	}
	d.log.LogAttrs(ctx, level, text, attrs...)
}

// Reply has the contract of hub.Dispatcher.
func (d *Direct) Reply(ctx context.Context, connection string, frames [][]byte) error {
	for _, frame := range frames {
		err := d.poster.Post(ctx, connection, NewPayload(frame))
		if errors.Is(err, ErrGone) {
			return hub.ErrConnectionNotFound
		}
		if err != nil {
			return fmt.Errorf("reply to connection %s: %w", connection, err)
		}
	}
	return nil
}

// Disconnect closes connections, as many concurrently as the Poster allows. It repeats
// requests without an answer once, after all others. A connection that is gone already is
// no error. Other failures are joined, and do not stop the rest.
func (d *Direct) Disconnect(ctx context.Context, connections []string) (open []string, err error) {
	failed := d.deleteAll(ctx, connections, usual)
	var again []string
	for connection, err := range failed {
		if silence, ok := errors.AsType[unanswered](err); ok && !silence.repeated {
			again = append(again, connection)
			delete(failed, connection)
		}
	}
	maps.Copy(failed, d.deleteAll(ctx, again, repeated))
	var errs []error
	for connection, err := range failed {
		open = append(open, connection)
		if err != nil {
			errs = append(errs, err)
		}
	}
	return open, errors.Join(errs...)
}

// deleteAll closes connections, and returns the errors by connection: nil for one that was
// not begun after another could not.
func (d *Direct) deleteAll(ctx context.Context, connections []string, c care) map[string]error {
	var (
		deletes sync.WaitGroup
		mu      sync.Mutex
		failed  = make(map[string]error)
	)
	fail := func(connection string, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed[connection] = err
	}
	for i, connection := range connections {
		if err := d.poster.acquire(ctx); err != nil {
			for _, rest := range connections[i+1:] {
				fail(rest, nil)
			}
			fail(connection, fmt.Errorf("delete %d of %d connections: %w", len(connections)-i, len(connections), err))
			break
		}
		deletes.Go(func() {
			if err := d.poster.delete(ctx, connection, c); err != nil && !errors.Is(err, ErrGone) {
				fail(connection, err)
			}
		})
	}
	deletes.Wait()
	return failed
}
