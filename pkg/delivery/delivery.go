package delivery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"

	"centrifuge/pkg/hub"
)

// Subscribers reads who listens.
type Subscribers interface {
	// Subscribers yields the subscribers of one shard of a channel, page by page. A
	// page is not changed any more once it is yielded. After an error it yields
	// nothing more. It must end soon after ctx does.
	Subscribers(ctx context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Subscriber, error]
}

// Options are what a Delivery needs. All are required but Log.
type Options struct {
	Subscribers Subscribers
	// Poster carries the bound on concurrency, for all deliveries together.
	Poster *Poster
	// Encoders make the push of each protocol that is spoken.
	Encoders map[hub.Protocol]Encoder
	// Log gets one line a message: at debug, or as a warning where posts failed. nil
	// means nowhere.
	Log *slog.Logger
}

// Delivery is the direct fan-out: whoever publishes also posts. It is safe for
// concurrent use; concurrent messages share the Poster's slots in turns, so that a
// large channel does not hold up a small one.
type Delivery struct {
	subscribers Subscribers
	poster      *Poster
	encoders    map[hub.Protocol]Encoder
	log         *slog.Logger
}

var _ hub.Delivery = (*Delivery)(nil)

// New makes a Delivery.
func New(o Options) *Delivery {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Delivery{o.Subscribers, o.Poster, o.Encoders, o.Log}
}

// Deliver sends m to every subscriber of the audiences and returns when all posts,
// and all calls of gone, have ended; of these at most 16 are under way at once. A
// subscriber that cannot be reached is counted, never an error; so is one that was
// read when ctx had ended, as Failed. It fails
//   - with hub.ErrTooLarge, before any post, when the push in any of the protocols
//     spoken is over hub.MaxMessageBytes, whoever listens;
//   - before any post, when a push cannot be encoded;
//   - after the posts to those that were read, when not all subscribers could be,
//     but for those of a BestEffort audience, or when ctx ended before all posts had begun. The report then counts the
//     former.
func (d *Delivery) Deliver(ctx context.Context, m hub.Message, to []hub.Audience, gone func(context.Context, hub.Place) error) (hub.Report, error) {
	payloads, err := d.encode(m)
	if err != nil {
		return hub.Report{}, fmt.Errorf("deliver to %s: %w", m.Channel, err)
	}
	f := &fanout{
		poster:    d.poster,
		payloads:  payloads,
		strangers: make(map[hub.Protocol]int),
		queue:     make(chan post),
		reaping:   reaping{gone: gone},
	}
	err = f.run(ctx, d.subscribers, to)
	buried := f.reaping.finish()

	d.summarize(ctx, m, f, buried)
	if err != nil {
		return f.report, fmt.Errorf("deliver to %s: %w", m.Channel, err)
	}
	return f.report, nil
}

// encode makes the payload of every protocol. To wait and see which are needed
// would save microseconds and make the refusal of a message depend on who listens.
func (d *Delivery) encode(m hub.Message) (map[hub.Protocol]*Payload, error) {
	payloads := make(map[hub.Protocol]*Payload, len(d.encoders))
	for protocol, encode := range d.encoders {
		body, err := encode(m)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", protocol, err)
		}
		if len(body) > hub.MaxMessageBytes {
			return nil, hub.ErrTooLarge
		}
		payloads[protocol] = NewPayload(body)
	}
	return payloads, nil
}

func (d *Delivery) summarize(ctx context.Context, m hub.Message, f *fanout, buried []error) {
	level := slog.LevelDebug
	attrs := []slog.Attr{
		slog.String("project", m.Channel.Project),
		slog.String("channel", m.Channel.String()),
		slog.String("message", m.ID),
		slog.Int("delivered", f.report.Delivered),
		slog.Int("gone", f.report.Gone),
		slog.Int("slow", f.report.Slow),
		slog.Int("failed", f.report.Failed),
	}
	if f.report.Slow > 0 || f.report.Failed > 0 {
		level = slog.LevelWarn
	}
	if f.cause != nil {
		attrs = append(attrs, slog.Any("cause", f.cause))
	}
	if len(f.strangers) > 0 {
		attrs = append(attrs, slog.Any("unknown_protocols", f.strangers))
	}
	if len(f.unread) > 0 {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("unread", errors.Join(f.unread...)))
	}
	if len(buried) > 0 {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Int("unremoved", len(buried)), slog.Any("unremoved_cause", buried[0]))
	}
	d.log.LogAttrs(ctx, level, "message delivered", attrs...)
}

// Disconnect closes connections, as many at once as the Poster allows. One that is
// gone already is no error; other failures are joined, and stop nothing.
func (d *Delivery) Disconnect(ctx context.Context, connections []string) error {
	var (
		deletes sync.WaitGroup
		mu      sync.Mutex
		errs    []error
	)
	for i, connection := range connections {
		if err := d.poster.acquire(ctx); err != nil {
			mu.Lock()
			errs = append(errs, fmt.Errorf("delete %d of %d connections: %w", len(connections)-i, len(connections), err))
			mu.Unlock()
			break
		}
		deletes.Go(func() {
			if err := d.poster.delete(ctx, connection); err != nil && !errors.Is(err, ErrGone) {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	deletes.Wait()
	return errors.Join(errs...)
}
