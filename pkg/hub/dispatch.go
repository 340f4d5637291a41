package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Audience is the subscribers of a channel, which has this many shards, whose right has not
// ended.
type Audience struct {
	Channel Channel
	Shards  int
	Rule    Rule
	// Stalled are connections that held up a dispatch before. They are given little time, once.
	Stalled []string `json:",omitempty"`
	// Era is that of the Head of the stream. A recoverable subscriber of another era is lost.
	Era uint64 `json:",omitempty"`
	// Abandoned is the time before which no membership is Joining still that is not abandoned: it
	// gets what is sent direct, and is lost in a stream.
	Abandoned time.Time `json:",omitzero"`
	// Only, if not nil, are the subscribers: none is read.
	Only []Ended `json:",omitempty"`
	// Reading, if not nil, is the read of each shard, which has begun already. It can be used
	// once, and stays in this process: another one reads anew.
	Reading []iter.Seq2[[]Subscriber, error] `json:"-"`
}

// read begins to read the first page of each shard of an audience. The result is a Reading. It
// ends with ctx.
func (h *Hub) read(ctx context.Context, to Audience) (all []iter.Seq2[[]Subscriber, error]) {
	type page struct {
		subscribers []Subscriber
		err         error
	}
	for shard := range to.Shards {
		pages := make(chan page)
		go func() {
			defer close(pages)
			for subscribers, err := range h.store.Subscribers(ctx, to.Channel, shard) {
				select {
				case pages <- page{subscribers, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		all = append(all, func(yield func([]Subscriber, error) bool) {
			for p := range pages {
				if !yield(p.subscribers, p.err) {
					return
				}
			}
			if ctx.Err() != nil {
				yield(nil, ctx.Err())
			}
		})
	}
	return all
}

// Dispatcher sends accepted messages to subscribers. Its parameters and its Result are
// data that could go to another Lambda: TestDispatchDataRoundTrip encodes them.
type Dispatcher interface {
	// Dispatch sends messages of one channel, in their order, to every subscriber of
	// the audience, and returns when all posts have ended. A subscriber that cannot be
	// reached is counted, and is no error. When Dispatch fails it has posted nothing:
	// with ErrTooLarge when the encoded push of a message is over MaxMessageBytes.
	Dispatch(ctx context.Context, to Audience, messages []Message) (Result, error)
	// Check fails with ErrTooLarge when the encoded push of a message would be over
	// MaxMessageBytes, wherever its position in a stream is: Dispatch would fail then.
	Check(m Message) error
	// Reply sends frames to a connection, one after the other. It fails with
	// ErrConnectionNotFound for one that is over, and where it is not certain that the client
	// has all.
	Reply(ctx context.Context, connection string, frames [][]byte) error
	// Disconnect closes connections, and returns those that may be open after an error. One
	// that is gone already is no error.
	Disconnect(ctx context.Context, connections []string) (open []string, err error)
	// Ping sends a ping of a protocol to connections, each once, and returns when all posts have
	// ended. The channels in the Result do not matter. It fails where the protocol has no ping.
	Ping(ctx context.Context, p Protocol, connections []string) (Result, error)
	// Notify sends notices, each to its connection, in no order, and returns the connections of
	// those that may not have got theirs after an error. A protocol that has no push for a notice
	// gets none, which is no error, like a connection that is gone. No notice is sent again where
	// it may have arrived.
	Notify(ctx context.Context, notices []Notice) (missed []string, err error)
}

// Post sends publications of one stream, in their order, to its subscribers, under a lease that
// the caller holds. head is as the last write left it. Without a batch it admits those who wait in
// head. lost means that subscribers were lost. After an error the same is tried again under another
// lease and, with a batch, in another era.
type Post func(ctx context.Context, head Head, batch []Message) (lost bool, err error)

// StreamDispatcher decides which invocation dispatches a stream. It calls post for what this
// one dispatches: batches that follow each other, one at a time. Each begins no more posts when
// its context has ended.
type StreamDispatcher interface {
	// Announce announces an append that is Pending, and dispatches the stream unless another
	// invocation does. When it returns without an error, the message has been dispatched or
	// certainly will be. It returns the message with its final Position.
	Announce(ctx context.Context, s Stream, a Appended, post Post) (Message, error)
	// Admit announces an admission, and admits it unless another invocation does. When it returns
	// without an error, the subscription has been admitted or lost, or certainly will be. It fails
	// with ErrUnrecoverablePosition where the epoch of its Position is over, and with
	// ErrTooManyRequests where MaxAdmissions wait.
	Admit(ctx context.Context, s Stream, a Admission, post Post) error
	// Drain dispatches a stream unless another durable dispatcher does. It is called in the
	// invocation request, which Lambda repeats under the same id where it fails or dies. load
	// returns the stream with the present options of its category.
	Drain(ctx context.Context, load func(context.Context) (Stream, error), request string, post Post) error
}

// Result has the outcomes of the posts of a dispatch. A post is one frame to one
// subscriber: several messages may be one post.
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
	// Ended are the subscriptions whose right has ended, or which have Expired: nothing was posted
	// to them.
	Ended []Ended
	// Stalled are the connections that held up the others: refused as Slow, or without an
	// answer.
	Stalled []string
	// Lost are the subscriptions to a stream whose clients are to be told to subscribe again: one
	// is recoverable, and may have missed a message or is of another era, or it was abandoned.
	Lost []Lost
	// Unread are the shards whose subscribers could not all be read.
	Unread []Unread
}

// Gone is a subscription that is to be removed, as a dispatch found.
type Gone struct {
	Connection string
	Channel    Channel
	Shard      int
	// Hidden means that the connection is being closed, by an invocation that may have died
	// before it closed the socket.
	Hidden bool `json:",omitempty"`
}

// Ended is a subscription whose right has ended, or which has Expired, as a dispatch found.
type Ended struct {
	Gone
	Protocol Protocol
	Batch    bool `json:",omitempty"`
	Basis    Basis
	Standing Standing `json:",omitzero"`
}

// and is the result of two dispatches of the same messages: the second to those whose
// right had ended in the first.
func (r Result) and(second Result) Result {
	sum := Result{
		Delivered: r.Delivered + second.Delivered, Slow: r.Slow + second.Slow, Failed: r.Failed + second.Failed,
		Unsent: r.Unsent + second.Unsent, Refused: r.Refused + second.Refused, Refusal: r.Refusal,
		Lost: slices.Concat(r.Lost, second.Lost),
		Gone: slices.Concat(r.Gone, second.Gone), Ended: second.Ended, Unread: slices.Concat(r.Unread, second.Unread), Stalled: slices.Concat(r.Stalled, second.Stalled),
	}
	if sum.Refusal == "" {
		sum.Refusal = second.Refusal
	}
	return sum
}

// deliver sends messages to an audience of p, which may be some seconds old: where a
// right has ended by what p says, the project is read again, so that a change that admits
// more excludes nobody who subscribed after it. When it fails, as Dispatcher.Dispatch does,
// nothing was posted.
func (h *Hub) deliver(ctx context.Context, p *Project, to Audience, messages ...Message) (Result, error) {
	if to.Abandoned.IsZero() {
		to.Abandoned = h.now().Add(-AbandonTime)
	}
	first, err := h.dispatcher.Dispatch(ctx, to, messages)
	refused := func(e Ended) bool { return !e.Standing.Expired }
	if err != nil || !slices.ContainsFunc(first.Ended, refused) {
		return first, err
	}
	present, err := h.store.ReadProject(ctx, p.ID)
	if err != nil && !errors.Is(err, ErrProjectNotFound) {
		// Nothing is known about some subscribers.
		first.Unread = append(first.Unread, Unread{Shard: first.Ended[0].Shard, Cause: err.Error()})
		first.Ended = nil
	}
	if err != nil || !present.has(to.Channel) {
		return first, nil //nolint:nilerr // what the error means is in the result
	}
	to.Rule = present.audience(to.Channel).Rule
	to.Only = slices.DeleteFunc(slices.Clone(first.Ended), func(e Ended) bool { return !refused(e) || !to.Rule.Admits(e.Basis) })
	if len(to.Only) == 0 {
		return first, nil
	}
	first.Ended = slices.DeleteFunc(first.Ended, func(e Ended) bool { return refused(e) && to.Rule.Admits(e.Basis) })
	second, err := h.dispatcher.Dispatch(ctx, to, messages)
	if err != nil {
		first.Unread = append(first.Unread, Unread{Shard: to.Only[0].Shard, Cause: err.Error()})
	}
	second.Ended = slices.Concat(first.Ended, second.Ended)
	return first.and(second), nil
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
