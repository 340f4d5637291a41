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

// EventBridge is the handler of a rule of EventBridge, for lambda.Start. After an error
// Lambda invokes it again, twice, and then sends the event to the dead-letter queue.
type EventBridge func(context.Context, events.EventBridgeEvent) error

// Webhook handles messages and other events from the event bus: notify gets the project that the detail
// names by its project_id, and the unchanged bytes of the detail. A project that does
// not exist any more is no error, because a repetition cannot succeed. An error of notify
// is logged and returned. A detail that names no project is an error too, so that an
// operator finds it in the dead-letter queue.
func Webhook(projects hub.Projects, notify func(ctx context.Context, p *hub.Project, body []byte) error, log *slog.Logger) EventBridge {
	return func(ctx context.Context, e events.EventBridgeEvent) error {
		ctx, cancel := limit(ctx)
		defer cancel()
		var detail struct {
			Project string `json:"project_id"`
			Message string `json:"event_id"`
		}
		if hub.SyntaxError(e.Detail, "data") != "" || json.Unmarshal(e.Detail, &detail) != nil || detail.Project == "" {
			log.ErrorContext(ctx, "event without project", "event", e.ID, "source", e.Source, "type", e.DetailType)
			return fmt.Errorf("event %s: the detail names no project", e.ID)
		}
		log := log.With("project", detail.Project, "message", detail.Message, "event", e.ID)
		p, err := projects.Project(ctx, detail.Project)
		if errors.Is(err, hub.ErrProjectNotFound) {
			log.InfoContext(ctx, "project not found")
			return nil
		}
		if err == nil {
			err = notify(ctx, p, e.Detail)
		}
		if err != nil {
			log.ErrorContext(ctx, "webhook failed", "error", err)
			return fmt.Errorf("webhook of event %s: %w", detail.Message, err)
		}
		return nil
	}
}
