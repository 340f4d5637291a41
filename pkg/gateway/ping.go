package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/pkg/hub"
)

// The detail types of the events of Ping: that of EventBridge's schedules, and that of a batch of
// pings, which is its detail.
const (
	scheduled = "Scheduled Event"
	pingBatch = "pings"
)

// Ping handles the event of a schedule, every minute, and sends the pings that are due in it. What is
// more than one batch it gives to invoke, as events for another invocation of the same function. An
// error is logged and returned. The same event twice does no harm, and an event that comes minutes
// late does nothing.
func Ping(h *hub.Hub, invoke func(ctx context.Context, event []byte) error, log *slog.Logger) EventBridge {
	return func(ctx context.Context, e events.EventBridgeEvent) error {
		ctx, cancel := limit(ctx)
		defer cancel()
		if err := ping(ctx, h, e, invoke); err != nil {
			log.ErrorContext(ctx, "pings failed", "minute", e.Time, "error", err)
			return err
		}
		return nil
	}
}

func ping(ctx context.Context, h *hub.Hub, e events.EventBridgeEvent, invoke func(context.Context, []byte) error) error {
	switch e.DetailType {
	case scheduled:
		return h.SendDuePings(ctx, e.Time, func(ctx context.Context, pings []hub.Ping) (err error) {
			next := e
			next.Source, next.DetailType = "centrifuge", pingBatch
			if next.Detail, err = json.Marshal(pings); err != nil {
				return fmt.Errorf("encode %d pings: %w", len(pings), err)
			}
			event, err := json.Marshal(next)
			if err != nil {
				return fmt.Errorf("encode the event of %d pings: %w", len(pings), err)
			}
			if err := invoke(ctx, event); err != nil {
				return fmt.Errorf("hand over %d pings: %w", len(pings), err)
			}
			return nil
		})
	case pingBatch:
		var pings []hub.Ping
		if err := json.Unmarshal(e.Detail, &pings); err != nil {
			return fmt.Errorf("read a batch of pings: %w", err)
		}
		return h.SendPings(ctx, e.Time, pings)
	}
	return fmt.Errorf("unknown detail type %q", e.DetailType)
}
