package hub

import (
	"context"
	"fmt"
)

// Audience is the subscribers of a channel, which has this many shards.
type Audience struct {
	Channel Channel
	Shards  int
}

// Dispatcher takes accepted messages to subscribers. What it is given and what it
// returns is data, which may cross from one Lambda to another.
type Dispatcher interface {
	// Dispatch sends messages of one channel, in their order, to every subscriber of
	// the audiences, and returns when all posts have ended. A subscriber that cannot be
	// reached is counted, and is no error. When Dispatch fails it has posted nothing:
	// with ErrTooLarge when the encoded push of a message is over MaxMessageBytes.
	Dispatch(ctx context.Context, to []Audience, messages []Message) (Result, error)
	// Disconnect closes connections. One that is gone already is no error.
	Disconnect(ctx context.Context, connections []string) error
}

// Result is what became of dispatched messages. A post is one message to one
// subscriber.
type Result struct {
	// Delivered posts were accepted by API Gateway.
	Delivered int
	// Slow posts were refused in every attempt, because the client does not read or
	// the account is at its quota.
	Slow int
	// Failed posts met another error in every attempt, or were not begun.
	Failed int
	// Unsent posts, which are among the Failed, were not begun before the time ran out.
	Unsent int
	// Gone are the subscriptions whose connection is over.
	Gone []Gone
	// Unread are the shards whose subscribers could not all be read.
	Unread []Unread
}

// Gone is a subscription whose connection turned out to be over.
type Gone struct {
	Connection string
	Channel    Channel
	Shard      int
}

// Unread is a shard of a channel whose subscribers could not all be read.
type Unread struct {
	Channel Channel
	Shard   int
	// Cause is the text of the error.
	Cause string
}

// Err is nil when a post to every subscriber of ch was begun. Other audiences, such
// as the feed, fail nothing.
func (r Result) Err(ch Channel) error {
	for _, u := range r.Unread {
		if u.Channel == ch {
			return fmt.Errorf("dispatch to %s: read subscribers of shard %d: %s", ch, u.Shard, u.Cause)
		}
	}
	if r.Unsent > 0 {
		return fmt.Errorf("dispatch to %s: the time ran out before %d posts", ch, r.Unsent)
	}
	return nil
}
