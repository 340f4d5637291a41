package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"centrifuge/pkg/cent"
)

// publication has the flags that publish and broadcast share.
type publication struct {
	IdempotencyKey string            `placeholder:"KEY" help:"Identifies the message: a channel receives one message with the same key within five minutes."`
	Tag            map[string]string `placeholder:"NAME=TEXT" mapsep:"none" help:"A text that is sent with the message; may be repeated."`
	SkipHistory    bool              `help:"In a channel with history: send direct, without an offset and without order."`
	Number         uint64            `name:"message-version" placeholder:"N" help:"In a stream: publish only if N is greater than the version that the stream remembers."`
	NumberEpoch    string            `name:"message-version-epoch" placeholder:"TEXT" help:"Where it is another one than remembered, every version is greater."`
}

// prepare returns the data of the message, the client and the options.
func (p publication) prepare(ctx context.Context, s *session, given string) (json.RawMessage, *cent.Client, cent.PublishOptions, error) {
	o := cent.PublishOptions{
		IdempotencyKey: p.IdempotencyKey, SkipHistory: p.SkipHistory, Tags: p.Tag, Version: p.Number, VersionEpoch: p.NumberEpoch,
	}
	data, err := s.data(ctx, given)
	if err != nil {
		return nil, nil, o, err
	}
	client, err := s.client()
	return data, client, o, err
}

type publish struct {
	Channel string `arg:"" help:"The channel, such as news:announcements."`
	Data    string `arg:"" optional:"" help:"The message, any JSON."`

	publication
}

// Run implements the command.
func (c *publish) Run(ctx context.Context, s *session) error {
	data, client, o, err := c.prepare(ctx, s, c.Data)
	if err != nil {
		return err
	}
	result, err := client.Publish(ctx, c.Channel, data, o)
	switch {
	case err != nil:
		return err
	case s.JSON:
		return s.printJSON(result)
	case result.Delivered != nil:
		fmt.Fprintln(s.stdout, "delivered:", *result.Delivered)
	case result.Offset > 0:
		fmt.Fprintln(s.stdout, "offset:", result.Offset, "epoch:", result.Epoch)
	}
	return nil
}

type broadcast struct {
	Channels []string `arg:"" name:"channel" help:"The channels, at most 1,000."`

	Data string `short:"d" placeholder:"DATA" help:"The message, any JSON."`

	publication
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
	if err := s.printOutcomes(outcomes); err != nil {
		return err
	}
	var failed refused
	for _, o := range outcomes {
		if o.Error != nil {
			failed = append(failed, fmt.Sprintf("%s: %s", o.Channel, o.Error))
		}
	}
	if failed != nil {
		return failed
	}
	return nil
}

// apiError is an error as the server API writes it.
type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// printOutcomes prints the outcomes of a broadcast as JSON, or as a table if the
// server reports deliveries or offsets.
func (s *session) printOutcomes(outcomes []cent.Outcome) error {
	if s.JSON {
		type outcome struct {
			Channel string `json:"channel"`
			cent.Result
			Error *apiError `json:"error"`
		}
		list := make([]outcome, len(outcomes))
		for i, o := range outcomes {
			list[i] = outcome{Channel: o.Channel, Result: o.Result}
			if o.Error != nil {
				list[i].Error = &apiError{o.Error.Code, o.Error.Message}
			}
		}
		return s.printJSON(list)
	}
	rows := [][]string{{"CHANNEL", "DELIVERED"}}
	for _, o := range outcomes {
		switch {
		case o.Delivered != nil:
			rows = append(rows, []string{o.Channel, strconv.Itoa(*o.Delivered)})
		case o.Offset > 0:
			rows = append(rows, []string{o.Channel, "offset " + strconv.FormatUint(o.Offset, 10)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return s.table(rows)
}
