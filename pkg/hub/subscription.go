package hub

import (
	"context"
	"iter"
)

// Subscriber is one subscription as a fan-out reads it.
type Subscriber struct {
	Connection string
	Protocol   Protocol
}

// Subscriptions keeps who listens to what.
type Subscriptions interface {
	// Subscribe puts c into channels, a map to the number of shards of each: first
	// on the connection, then as subscriptions, so that nothing is leaked wherever
	// it is cut off. A channel that c is in already is renewed where it is. It fails
	// with ErrConnectionNotFound when the connection is over and with
	// ErrLimitExceeded when it would be in more than MaxChannels. One request, and
	// one more for every 25 channels.
	Subscribe(ctx context.Context, c Connection, channels map[Channel]int) error
	// Unsubscribe takes c out of channels; those it is not in are passed over. One
	// request, and one more for every 25 channels; none where c is in none of them.
	Unsubscribe(ctx context.Context, c Connection, channels []Channel) error
	// DropSubscriber removes one subscription, whatever its connection records: that
	// of a connection which has turned out to be over. One that is gone already is no
	// error. One request.
	DropSubscriber(ctx context.Context, at Place) error
	// Subscribers yields the subscribers of one shard of a channel, page by page as
	// they are read: all those whose subscription was acknowledged before the call,
	// and none that has expired. After an error it yields nothing more.
	Subscribers(ctx context.Context, ch Channel, shard int) iter.Seq2[[]Subscriber, error]
}
