package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"centrifuge/pkg/hub"
)

// Asynchronous is the handler of a function that other functions invoke asynchronously, for
// lambda.Start. After an error Lambda invokes it again, twice, with the same request id, and
// then sends the event to the dead-letter queue.
type Asynchronous func(ctx context.Context, event json.RawMessage) error

// Dispatch handles the events of delivery.Function: dispatch gets the channel and the id of
// the request. An error of dispatch is logged and returned. An event that is no channel is
// an error too, so that an operator finds it in the dead-letter queue.
func Dispatch(dispatch func(ctx context.Context, ch hub.Channel, request string) error, log *slog.Logger) Asynchronous {
	return func(ctx context.Context, event json.RawMessage) error {
		ctx, cancel := limit(ctx)
		defer cancel()
		request, ok := lambdacontext.FromContext(ctx)
		if !ok || request.AwsRequestID == "" {
			return errors.New("the invocation has no request id")
		}
		ch, err := decodeChannel(event)
		if err != nil {
			log.ErrorContext(ctx, "event without channel", "error", err)
			return err
		}
		if err := dispatch(ctx, ch, request.AwsRequestID); err != nil {
			log.ErrorContext(ctx, "dispatch failed", "project", ch.Project, "channel", ch.String(), "error", err)
			return err
		}
		return nil
	}
}

// decodeChannel decodes an event. Its error holds nothing of the event.
func decodeChannel(event []byte) (ch hub.Channel, err error) {
	d := json.NewDecoder(bytes.NewReader(event))
	d.DisallowUnknownFields()
	if hub.SyntaxError(event, "event") != "" || d.Decode(&ch) != nil || ch.Project == "" {
		return hub.Channel{}, errors.New("the event is not a channel of a project")
	}
	if err := ch.Validate(); err != nil {
		return hub.Channel{}, fmt.Errorf("the event is not a channel: %w", err)
	}
	return ch, nil
}
