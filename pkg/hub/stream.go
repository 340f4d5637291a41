package hub

import (
	"context"
	"time"
)

// PublicationLife is how long a publication exists at least, whatever the options of its
// category say: dispatchers read it, and an offset that was used must not be free while a
// process may remember the one before it.
const PublicationLife = 6 * time.Hour

// Position is a place in a stream: the offset of a publication in an epoch. The zero Position
// is that of a stream that does not exist.
type Position struct {
	// Epoch identifies the stream. A channel whose stream has expired gets another one.
	Epoch string
	// Offset is 1 for the first publication, and one more for each that follows: there are no
	// gaps. It is 0 before the first one.
	Offset uint64
}

// Retention is what history returns of a stream, and how long the stream is remembered.
type Retention struct {
	// Size and TTL limit what history returns: the newest Size publications that are not older
	// than TTL. They are 0 for no history.
	Size int
	TTL  time.Duration
	// MetaTTL is how long the epoch and the offsets are remembered after the last change of the
	// stream.
	MetaTTL time.Duration
}

// PublicationExpires is when a publication that is appended at now stops to exist.
func (r Retention) PublicationExpires(now time.Time) time.Time {
	return now.Add(max(r.TTL, PublicationLife))
}

// StreamExpires is when a stream that is changed at now stops to exist: not before its newest
// publication.
func (r Retention) StreamExpires(now time.Time) time.Time {
	return now.Add(max(r.MetaTTL, r.TTL, PublicationLife))
}

// Stream is the stream of a channel. It holds what its items do not: the names in the classic
// push, and the options of the category.
type Stream struct {
	Channel     Channel
	ProjectName string
	CategoryID  string
	Retention   Retention
	// Linger is how long a dispatcher waits for more messages before it sends a batch.
	Linger time.Duration
}

// Stream is the stream of a channel of the project. ok is false where the channel has none:
// its category does not exist, or sends messages direct.
func (p *Project) Stream(ch Channel) (s Stream, ok bool) {
	c, ok := p.Categories[ch.Category]
	return Stream{p.Locate(ch), p.Name, c.ID, c.Retention(), time.Duration(c.Linger)}, ok && c.Streams()
}

// AppendOptions are the options of one publish to a stream. The zero value is the default.
type AppendOptions struct {
	// IdempotencyKey makes a repeat within IdempotencyWindow append nothing; "" for none.
	IdempotencyKey string
	// Version, where it is not 0, appends only if it is greater than the one that the stream
	// remembers. A VersionEpoch that differs from the remembered one makes every version the
	// greater; "" is that of any version. The rule is Centrifugo's.
	Version      uint64
	VersionEpoch string
}

// Appended is the result of an append, to be announced.
type Appended struct {
	// Message is the message with its Position and Time.
	Message Message
	// Repeated means that an earlier publish under the same key appended the message. The ID
	// and the Position of Message are those of that publish, its Time is zero, and its data may
	// be other data than that publish had: who dispatches it reads Publications.
	Repeated bool
	// Pending means that the publication is to be announced. Otherwise it is done: it was
	// skipped, or an earlier publish under the key was sent direct.
	Pending bool
	// Skipped means that the version was not greater. Then the Position of Message is the top of
	// the stream. It is Pending where that top may not have been dispatched: the publisher of the
	// remembered version may have died.
	Skipped bool
	// Direct is the result of an earlier publish under the same key, which was sent without a
	// stream; nil for none.
	Direct *Result
	// Quiet means that nothing else waits for its dispatch, as far as this process knows: the
	// announcer will probably dispatch the message.
	Quiet bool
	// New means that the epoch was drawn for this publication, which is its first: the stream
	// exists when that is announced.
	New bool
	// Options are those of the append: a publication that has to move repeats it with them.
	Options AppendOptions
}

// Announced is the result of an announcement.
type Announced struct {
	// Message is the message with its final Position.
	Message Message
	// Moved means that the message was appended again, to another epoch. What was read of the
	// subscribers before that may be too old.
	Moved bool
	// Head is the head of the stream after the announcement. Where its lease is the announcer's
	// own, the announcer dispatches.
	Head Head
}

// Streams keeps the streams of channels. A publish appends and then announces:
//
//	a, err := s.Append(ctx, stream, m, options)
//	if err == nil && a.Pending {
//		announced, err := s.Announce(ctx, stream, a, lease)
//	}
//
// Only announced messages are acknowledged. A publication that was appended and never
// announced keeps its offset, and is dispatched with the next one. Reads see what was written
// before. A stream whose end has passed does not exist.
type Streams interface {
	// Append appends a message to a stream: to its Channel, whatever that of the message is. It
	// is one conditional put at the next offset, guessed from what this process read or
	// appended at most an hour ago; one read more where it has not, and one put more for each
	// publisher that was faster. With an idempotency key, the claim is part of the same
	// transaction; with a version, the head is. It fails with ErrTooManyRequests where the
	// stream is more than MaxAhead ahead of its dispatch, and with ErrConflict while a direct
	// publish holds the key; then it has appended nothing.
	Append(ctx context.Context, s Stream, m Message, o AppendOptions) (Appended, error)
	// Announce adds 1 to the wake counter of the head, and takes the lease where there is none,
	// also no expired one. It is one request. Where another epoch has begun since the append it
	// appends the message there, removes it from its former place, and announces that. A
	// repeated announcement does no harm.
	Announce(ctx context.Context, s Stream, a Appended, mine Lease) (Announced, error)
	// History returns the publications of a stream that its Retention keeps, and the top
	// position: one request for the top, and one for each megabyte of publications. It fails
	// with ErrUnrecoverablePosition where the epoch of Since is another one.
	History(ctx context.Context, s Stream, q HistoryQuery) (publications []Message, top Position, err error)
	// OpenStream returns the top position, and makes the stream exist where it does not: its epoch
	// is that of the publications that follow. One request, and one more for a new stream.
	OpenStream(ctx context.Context, s Stream) (Position, error)
	// RemoveHistory makes history return nothing of what the stream holds now. It deletes
	// nothing: epoch and offsets go on, and what waits for its dispatch is dispatched. Two
	// requests.
	RemoveHistory(ctx context.Context, s Stream) error
	// Publications returns at most limit publications of an epoch after an offset, in order,
	// for the holder of the lease: also those that history does not return. A result of fewer
	// is all there is. It is one request for each megabyte.
	Publications(ctx context.Context, s Stream, epoch string, after uint64, limit int) ([]Message, error)
}

// HistoryQuery selects publications. The names and the meaning are Centrifugo's.
type HistoryQuery struct {
	// Since is a position that the publications follow, or precede where Reverse is set; nil
	// for all. Its Epoch may be "", for any.
	Since *Position
	// Limit is how many publications are returned at most: 0 for none, negative for as many as
	// are allowed. It is never more than MaxHistory.
	Limit int
	// Bytes is about how many bytes of data are returned at most, and read but for a megabyte; 0
	// for MaxHistoryBytes.
	Bytes int
	// Reverse returns the newest first.
	Reverse bool
}

// Recover decides whether a client that has got everything up to since can go on without a
// loss. top is the top of the stream, and publications are those of its history after since,
// in order. It returns either all that the client has missed or, with false, nothing: there is
// no partial recovery. The decision is Centrifugo's isStreamRecovered.
func Recover(since, top Position, publications []Message) (missed []Message, recovered bool) {
	if since.Epoch != "" && since.Epoch != top.Epoch {
		return nil, false
	}
	next := since.Offset
	for _, m := range publications {
		if next++; m.Position.Offset != next {
			return nil, false
		}
	}
	if next != top.Offset {
		return nil, false
	}
	return publications, true
}
