package cent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// PublishOptions are what a message may be published with.
type PublishOptions struct {
	// IdempotencyKey, at most 255 bytes, names the message: published again with
	// the same key, within five minutes, a channel gets nothing. "" has one made up
	// for the call. Give one to carry on, in a call of your own, where one failed.
	IdempotencyKey string
}

func (o PublishOptions) key() string {
	if o.IdempotencyKey == "" {
		return rand.Text()
	}
	return o.IdempotencyKey
}

// Publish sends data, anything that becomes JSON, to everybody in a channel named
// "category:channel". (A json.RawMessage is JSON already; a []byte would become a
// string of base64.) However often it is tried, a message that Centrifuge has sent
// is not sent again; one that failed part-way there, which is told as an internal
// error, may reach those twice whom it had reached.
//
// It fails with an *Error for what Centrifuge refuses: CodeCategoryNotFound,
// CodeBadRequest, CodeLimitExceeded, CodeTooLarge. After any other failure it is
// not known whether the message was sent.
func (c *Client) Publish(ctx context.Context, channel string, data any, o PublishOptions) error {
	b, err := encode(data)
	if err != nil {
		return fmt.Errorf("publish to %s: data: %w", channel, err)
	}
	return c.call(ctx, "publish", struct {
		Channel        string          `json:"channel"`
		Data           json.RawMessage `json:"data"`
		IdempotencyKey string          `json:"idempotency_key"`
	}{channel, b, o.key()}, &struct{}{})
}

// Outcome is what became of a broadcast in one channel.
type Outcome struct {
	Channel string
	// Error is why the message was not sent; nil where it was.
	Error *Error
}

// Broadcast sends data to up to 1,000 channels, each as Publish does; one that is
// named twice gets it once. Those that failed for a while are tried again with the
// whole call. The outcomes are in the order of channels. The error is that of the
// call: nil means that every channel has an outcome, not that all are good.
func (c *Client) Broadcast(ctx context.Context, channels []string, data any, o PublishOptions) ([]Outcome, error) {
	outcomes := make([]Outcome, len(channels))
	b, err := encode(data)
	if err != nil {
		return nil, fmt.Errorf("broadcast: data: %w", err)
	}
	key := o.key()
	rest := make([]int, len(channels)) // what has no outcome that is final
	for i, channel := range channels {
		outcomes[i].Channel, rest[i] = channel, i
	}
	answered := false
	err = c.tries.repeat(ctx, func(ctx context.Context) error {
		left, err := c.broadcast(ctx, outcomes, rest, b, key)
		if err != nil {
			return err
		}
		answered, rest = true, left
		if len(rest) > 0 {
			return outcomes[rest[0]].Error // temporary: has the rest tried again
		}
		return nil
	})
	// What was tried again in vain has the outcome of its last answer.
	if err != nil && (!answered || ctx.Err() != nil) {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	return outcomes, nil
}

// broadcast is one attempt at the channels that rest names. It notes their
// outcomes and returns which of them are temporary failures.
func (c *Client) broadcast(ctx context.Context, outcomes []Outcome, rest []int, data json.RawMessage, key string) ([]int, error) {
	params := struct {
		Channels       []string        `json:"channels"`
		Data           json.RawMessage `json:"data"`
		IdempotencyKey string          `json:"idempotency_key"`
	}{make([]string, len(rest)), data, key}
	for i, index := range rest {
		params.Channels[i] = outcomes[index].Channel
	}
	body, err := encode(params)
	if err != nil {
		return nil, err
	}
	var result struct {
		Responses []struct {
			Error *failure `json:"error"`
		} `json:"responses"`
	}
	if err := c.post(ctx, "broadcast", body, &result); err != nil {
		return nil, err
	}
	if len(result.Responses) != len(rest) {
		return nil, errors.New("the answer has another number of channels")
	}
	var left []int
	for i, index := range rest {
		e := result.Responses[i].Error.known()
		outcomes[index].Error = e
		if e != nil && e.Temporary {
			left = append(left, index)
		}
	}
	return left, nil
}
