package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/pkg/hub"
)

// EventBridge is the handler of a rule of EventBridge, for lambda.Start. An error has
// Lambda try again, twice, and then hand the event to the dead-letter queue.
type EventBridge func(context.Context, events.EventBridgeEvent) error

// Webhook handles messages that have been put on the event bus: notify gets the project
// that the detail names by its project_id, and the detail to the byte. A project that
// does not exist any more is not told, since trying again is of no use. An error of
// notify is logged, and returned. So is a detail that names no project: it is not ours,
// and belongs where somebody will look at it.
func Webhook(projects hub.Projects, notify func(ctx context.Context, p *hub.Project, body []byte) error, log *slog.Logger) EventBridge {
	return func(ctx context.Context, e events.EventBridgeEvent) error {
		var detail struct {
			Project string `json:"project_id"`
			Message string `json:"event_id"`
		}
		if err := json.Unmarshal(e.Detail, &detail); err != nil || detail.Project == "" {
			log.ErrorContext(ctx, "event is no message", "event", e.ID, "source", e.Source, "type", e.DetailType)
			return fmt.Errorf("event %s: the detail is no message", e.ID)
		}
		log := log.With("project", detail.Project, "message", detail.Message, "event", e.ID)
		p, err := projects.Project(ctx, detail.Project)
		if errors.Is(err, hub.ErrProjectNotFound) {
			log.InfoContext(ctx, "the project of a message is gone")
			return nil
		}
		if err == nil {
			err = notify(ctx, p, e.Detail)
		}
		if err != nil {
			log.ErrorContext(ctx, "webhook not notified", "error", err)
			return fmt.Errorf("webhook of message %s: %w", detail.Message, err)
		}
		return nil
	}
}
