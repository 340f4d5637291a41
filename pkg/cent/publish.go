package cent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// PublishOptions are the options of a message.
type PublishOptions struct {
	// IdempotencyKey, at most 255 bytes, identifies the message: a channel receives one
	// message with the same key within five minutes. "" means a new key for the call.
	// Set it to repeat a failed call in a later call.
	IdempotencyKey string `json:"idempotency_key"`
	// SkipHistory sends the message direct in a channel with history: without an offset and
	// without order.
	SkipHistory bool `json:"skip_history,omitempty"`
	// Tags are texts that are sent with the message.
	Tags map[string]string `json:"tags,omitempty"`
	// Version publishes in a stream only if it is greater than the one that the stream
	// remembers. A VersionEpoch that is another one than remembered makes every version greater.
	// 0 and "" mean that there is none.
	Version      uint64 `json:"version,omitempty"`
	VersionEpoch string `json:"version_epoch,omitempty"`
}

// keyed are the options with an idempotency key.
func (o PublishOptions) keyed() PublishOptions {
	if o.IdempotencyKey == "" {
		o.IdempotencyKey = rand.Text()
	}
	return o
}

// Result is the result of a message in one channel.
type Result struct {
	// Delivered is the number of connections that the message was sent to. It is nil
	// if the server does not report it: in a stream.
	Delivered *int `json:"delivered,omitempty"`
	// Offset and Epoch are the place of the message in the stream of the channel, 0 and ""
	// where it has none.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
}

// Publish sends data to all subscribers of a channel, "category:channel". Data is any
// value that encodes as JSON. (A json.RawMessage is JSON already; a []byte would
// become a string of base64.) A repeated attempt does not send a message again that
// Centrifuge has sent. After an internal error, which means that only a part of the
// subscribers may have received it, a repeated attempt may reach these twice.
//
// A refusal is an *Error: CodeCategoryNotFound, CodeBadRequest, CodeLimitExceeded,
// CodeTooLarge. After any other error it is unknown whether the message was sent.
func (c *Client) Publish(ctx context.Context, channel string, data any, o PublishOptions) (Result, error) {
	b, err := encode(data)
	if err != nil {
		return Result{}, fmt.Errorf("publish to %s: data: %w", channel, err)
	}
	var result Result
	err = c.call(ctx, "publish", struct {
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
		PublishOptions
	}{channel, b, o.keyed()}, &result)
	return result, err
}

// Outcome is the outcome of a broadcast in one channel.
type Outcome struct {
	Channel string
	Result
	// Error is the reason why the message was not sent, or nil.
	Error *Error
}

// Broadcast sends data to up to 1,000 channels, each as Publish does. A channel that
// is given twice receives it once. Channels with a temporary error are tried again.
// The outcomes have the order of channels. A nil error means that every channel has
// an outcome, which may be an error.
func (c *Client) Broadcast(ctx context.Context, channels []string, data any, o PublishOptions) ([]Outcome, error) {
	outcomes := make([]Outcome, len(channels))
	b, err := encode(data)
	if err != nil {
		return nil, fmt.Errorf("broadcast: data: %w", err)
	}
	o = o.keyed()
	if err := checkNames(struct {
		Channels []string
		PublishOptions
	}{channels, o}); err != nil {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	pending := make([]int, len(channels)) // indexes of channels without a final outcome
	for i, channel := range channels {
		outcomes[i].Channel, pending[i] = channel, i
	}
	answered := false
	err = c.retry.do(ctx, func(ctx context.Context) error {
		left, err := c.broadcast(ctx, outcomes, pending, b, o)
		if err != nil {
			return err
		}
		answered, pending = true, left
		if len(pending) > 0 {
			return outcomes[pending[0]].Error // it is temporary, so the rest is tried again
		}
		return nil
	})
	// A channel that is still pending keeps the outcome of its last attempt.
	if err != nil && (!answered || ctx.Err() != nil) {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	return outcomes, nil
}

// broadcast makes one attempt for the pending channels, sets their outcomes, and
// returns the channels with a temporary error.
func (c *Client) broadcast(ctx context.Context, outcomes []Outcome, pending []int, data json.RawMessage, o PublishOptions) ([]int, error) {
	params := struct {
		Channels []string        `json:"channels"`
		Data     json.RawMessage `json:"data"`
		PublishOptions
	}{make([]string, len(pending)), data, o}
	for i, index := range pending {
		params.Channels[i] = outcomes[index].Channel
	}
	body, err := encode(params)
	if err != nil {
		return nil, err
	}
	var result struct {
		Responses []struct {
			Result Result   `json:"result"`
			Error  *failure `json:"error"`
		} `json:"responses"`
	}
	if err := c.post(ctx, "broadcast", body, &result); err != nil {
		return nil, err
	}
	if len(result.Responses) != len(pending) {
		return nil, errors.New("the response has another number of channels than the request")
	}
	var left []int
	for i, index := range pending {
		e := result.Responses[i].Error.toError()
		outcomes[index].Result, outcomes[index].Error = result.Responses[i].Result, e
		if e != nil && e.Temporary {
			left = append(left, index)
		}
	}
	return left, nil
}
