package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"centrifuge/pkg/hub"
)

// Ping has the contract of hub.Dispatcher.
func (d *Direct) Ping(ctx context.Context, p hub.Protocol, connections []string) (hub.Result, error) {
	encode := d.notices[p]
	if encode == nil {
		return hub.Result{}, fmt.Errorf("ping in protocol %q: %w", p, errors.ErrUnsupported)
	}
	frame, err := encode(hub.Notice{Protocol: p, Kind: hub.Pinged})
	if err != nil {
		return hub.Result{}, fmt.Errorf("ping in protocol %q: %w", p, err)
	}
	f := &fanout{
		to:       hub.Audience{Only: make([]hub.Ended, len(connections))},
		messages: make([]hub.Message, 1), // a frame is of some message
		poster:   d.poster,
		frames:   map[format][]*Payload{{p, false}: {NewPayload(frame)}},
		queue:    make(chan post),
	}
	for i, connection := range connections {
		f.to.Only[i] = hub.Ended{Gone: hub.Gone{Connection: connection}, Protocol: p}
	}
	f.run(ctx, d.subscribers)
	level, r := slog.LevelDebug, f.result
	attrs := []slog.Attr{slog.Int("delivered", r.Delivered), slog.Int("gone", len(r.Gone)), slog.Int("slow", r.Slow), slog.Int("failed", r.Failed)}
	if r.Slow > 0 || r.Failed > 0 {
		level = slog.LevelWarn
	}
	if f.cause != nil {
		attrs = append(attrs, slog.Any("error", f.cause))
	}
	d.log.LogAttrs(ctx, level, "pings sent", attrs...)
	return r, nil
}
