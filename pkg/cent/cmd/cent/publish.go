package main

import (
	"context"
	"encoding/json"
	"fmt"

	"centrifuge/pkg/cent"
)

// repeatable has what publish and broadcast share: they may be called again.
type repeatable struct {
	IdempotencyKey string `placeholder:"KEY" help:"Names the message: with the same key nothing is sent again for five minutes."`
}

// prepare returns the message to send, with whom and how to send it.
func (r repeatable) prepare(ctx context.Context, s *session, given string) (json.RawMessage, *cent.Client, cent.PublishOptions, error) {
	o := cent.PublishOptions{IdempotencyKey: r.IdempotencyKey}
	data, err := s.data(ctx, given)
	if err != nil {
		return nil, nil, o, err
	}
	client, err := s.client()
	return data, client, o, err
}

type publish struct {
	Channel string `arg:"" help:"Where to, such as news:announcements."`
	Data    string `arg:"" optional:"" help:"The message, any JSON."`

	repeatable
}

// Run implements the command.
func (c *publish) Run(ctx context.Context, s *session) error {
	data, client, o, err := c.prepare(ctx, s, c.Data)
	if err != nil {
		return err
	}
	if err := client.Publish(ctx, c.Channel, data, o); err != nil {
		return err
	}
	return s.done()
}

type broadcast struct {
	Channels []string `arg:"" name:"channel" help:"Where to, up to 1,000 of them."`

	Data string `short:"d" placeholder:"DATA" help:"The message, any JSON."`

	repeatable
}

// Run implements the command.
func (c *broadcast) Run(ctx context.Context, s *session) error {
	data, client, o, err := c.prepare(ctx, s, c.Data)
	if err != nil {
		return err
	}
	outcomes, err := client.Broadcast(ctx, c.Channels, data, o)
	if err != nil {
		return err
	}
	var failed refused
	for _, o := range outcomes {
		if o.Error != nil {
			failed = append(failed, fmt.Sprintf("%s: %s", o.Channel, o.Error))
		}
	}
	if s.JSON {
		if err := s.printJSON(outcomeJSON(outcomes)); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return nil
}

// problem is an error as the server API writes it.
type problem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// outcomeJSON is what --json prints of a broadcast.
func outcomeJSON(outcomes []cent.Outcome) any {
	type outcome struct {
		Channel string   `json:"channel"`
		Error   *problem `json:"error"`
	}
	list := make([]outcome, len(outcomes))
	for i, o := range outcomes {
		list[i].Channel = o.Channel
		if o.Error != nil {
			list[i].Error = &problem{o.Error.Code, o.Error.Message}
		}
	}
	return list
}
