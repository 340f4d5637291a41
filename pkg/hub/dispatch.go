package hub

import (
	"context"
	"fmt"
)

// Audience is the subscribers of a channel, which has this many shards, whose right has not
// ended.
type Audience struct {
	Channel Channel
	Shards  int
	Rule    Rule
}

// Dispatcher sends accepted messages to subscribers. Its parameters and its Result are
// data that could go to another Lambda: TestDispatchDataRoundTrip encodes them.
type Dispatcher interface {
	// Dispatch sends messages of one channel, in their order, to every subscriber of
	// the audience, and returns when all posts have ended. A subscriber that cannot be
	// reached is counted, and is no error. When Dispatch fails it has posted nothing:
	// with ErrTooLarge when the encoded push of a message is over MaxMessageBytes.
	Dispatch(ctx context.Context, to Audience, messages []Message) (Result, error)
	// Disconnect closes connections. One that is gone already is no error.
	Disconnect(ctx context.Context, connections []string) error
}

// Result has the outcomes of the posts of a dispatch. A post is one frame to one
// subscriber.
type Result struct {
	// Delivered posts were accepted by API Gateway.
	Delivered int
	// Slow posts were refused in every attempt, because the client does not read or
	// the account is at its quota.
	Slow int
	// Failed posts met another error, in every attempt where repeating may help, or were
	// not begun: no time was left, or the protocol of the subscriber is unknown.
	Failed int
	// Unsent posts, which are also Failed, were not begun before the time ran out.
	Unsent int
	// Refused posts, which are also Failed, reached nobody for another reason than the
	// client: API Gateway answered with an error, or could not be reached.
	Refused int
	// Refusal is the text of the error of the first of them.
	Refusal string
	// Gone are the subscriptions whose connection is over, or being closed.
	Gone []Gone
	// Ended are the subscriptions whose right has ended: nothing was posted to them.
	Ended []Gone
	// Unread are the shards whose subscribers could not all be read.
	Unread []Unread
}

// Gone is a subscription that is to be removed, as a dispatch found.
type Gone struct {
	Connection string
	Channel    Channel
	Shard      int
}

// Unread is a shard whose subscribers could not all be read.
type Unread struct {
	Shard int
	// Cause is the text of the error.
	Cause string
}

// Err is nil when all subscribers were read, no post was left for lack of time, and one
// was delivered or none was refused.
func (r Result) Err() error {
	switch {
	case len(r.Unread) > 0:
		return fmt.Errorf("read subscribers of %d shards, such as %d: %s", len(r.Unread), r.Unread[0].Shard, r.Unread[0].Cause)
	case r.Unsent > 0:
		return fmt.Errorf("%d posts were not begun before the time ran out", r.Unsent)
	case r.Refused > 0 && r.Delivered == 0:
		return fmt.Errorf("no post was delivered, and %d were refused: %s", r.Refused, r.Refusal)
	}
	return nil
}
