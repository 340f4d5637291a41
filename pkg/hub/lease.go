package hub

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// LeaseTime is how far away the end of a lease is at most. Its holder renews it.
	LeaseTime = 20 * time.Second
	// GrantTime is how long a lease is kept for who was next. It polls several times a second,
	// and where it has died Lambda runs it again.
	GrantTime = 5 * time.Second
	// LeaseSlack is how long others wait after the end of a lease, or of a turn, before they
	// take it: clocks differ.
	LeaseSlack = 2 * time.Second
)

// Lease is the right to dispatch a stream, held by one invocation. The zero Lease is none.
type Lease struct {
	// ID is drawn by who takes the lease: NewID, a fresh one for every take.
	ID string
	// Durable means that the holder is invoked again where it dies: it is a dispatcher that was
	// invoked asynchronously. Otherwise it is the publisher itself.
	Durable bool
	// Request is the id of the invocation of a durable holder, "" for another.
	Request string
	// Granted means that an inline holder has given the lease to Request, who was next and has
	// not taken it yet.
	Granted bool
	// Until is the end of the lease, in whole milliseconds: its holder begins no post that may
	// end later.
	Until time.Time
}

// Free reports whether others may take the lease at now: there is none, or it has expired.
func (l Lease) Free(now time.Time) bool { return l.ID == "" || !now.Before(l.Until.Add(LeaseSlack)) }

// Turn is the promise that a durable dispatcher takes the lease when its inline holder lets it
// go. The zero Turn is none.
type Turn struct {
	// Request is the id of the invocation of the dispatcher that waits.
	Request string
	// Until is the end of the promise, in whole milliseconds.
	Until time.Time
}

// Free reports whether others may take the turn at now: there is none, or it has expired.
func (t Turn) Free(now time.Time) bool {
	return t.Request == "" || !now.Before(t.Until.Add(LeaseSlack))
}

// Head is the head of a stream. The zero Head is that of a stream that does not exist.
type Head struct {
	// Epoch is that of the stream.
	Epoch string
	// Wake counts announcements.
	Wake uint64
	// Done is the offset up to which all is dispatched.
	Done uint64
	// Lease is who dispatches, and Next the durable dispatcher that follows an inline holder.
	Lease Lease
	Next  Turn
	// Removed is the offset up to which history returns nothing.
	Removed uint64
	// Batch is how many messages the next holder dispatches at first, because more could not be
	// dispatched in time; 0 for as many as it likes.
	Batch int
	// Joins are the admissions that wait for a holder.
	Joins []Admission
	// Era is drawn anew where nobody knows to whom messages after Done were sent. It differs
	// between streams that follow each other in a channel.
	Era uint64
	// Changed is the offset that followed Done when a holder last lost subscribers: what was read
	// of the subscribers before it dispatches that offset may be too old.
	Changed uint64
	// Expires is when the stream stops to exist.
	Expires time.Time
}

// Safe reports whether a message that was announced is in safe hands at now: a durable
// dispatcher holds the lease, or is next. Where it is not, and the announcer does not hold the
// lease itself, the announcer takes a free lease, or invokes a durable dispatcher, before it
// acknowledges the message.
func (h Head) Safe(now time.Time) bool {
	return h.Lease.Durable && !h.Lease.Free(now) || !h.Next.Free(now)
}

// Mark is the mark of the holder of the lease.
func (h Head) Mark() Mark {
	return Mark{Lease: h.Lease.ID[max(len(h.Lease.ID)-markDigits, 0):], Era: h.Era}
}

// markDigits are enough for the leases that one channel has within minutes.
const markDigits = 8

// Progress is how far the holder of a lease has come.
type Progress struct {
	// Lease is the ID of the lease.
	Lease string
	// Done is the offset up to which all is dispatched.
	Done uint64
	// Batch is that of Head, for who follows.
	Batch int
	// Admitted are admissions that do not wait any more.
	Admitted []Admission
	// Lost means that subscribers were lost since the last progress: Changed of Head follows.
	Lost bool
	// Era is that of Head from now on; 0 leaves it.
	Era uint64
}

// NewEra draws an era.
func NewEra() uint64 { return rand.Uint64N(1<<48) + 1 }

// Leases changes the heads of streams. Every method except StreamHead is one conditional write
// and makes no read. It returns the head after the change and true or, where the condition
// fails, the head as it is and false: the zero Head where the stream does not exist. Each write
// renews the end of the stream. A call whose answer was lost may be repeated: it returns what
// the lost answer said, or the head as others have left it since. The protocol is checked by a
// model, which does not know clocks: who posts does not do so after the end of its lease.
type Leases interface {
	// StreamHead reads the head.
	StreamHead(ctx context.Context, s Stream) (Head, error)
	// TakeLease takes the lease where there is none, or where it was granted to the request of
	// mine. A durable holder also ends the turn of any dispatcher that waits: that one ends, or
	// waits again, when it finds this lease.
	TakeLease(ctx context.Context, s Stream, mine Lease) (Head, bool, error)
	// TakeOver takes the lease as TakeLease does, where it is that of another holder and has
	// expired. era is that of Head from then on; 0 leaves it.
	TakeOver(ctx context.Context, s Stream, mine Lease, other string, era uint64) (Head, bool, error)
	// AnnounceAdmission makes an admission wait for a holder, adds 1 to the wake counter, and takes
	// the lease where there is none, also no expired one. The condition is that the epoch is that
	// of its Position. It fails with ErrTooManyRequests where MaxAdmissions wait.
	AnnounceAdmission(ctx context.Context, s Stream, a Admission, mine Lease) (Head, bool, error)
	// TakeTurn takes a free turn, or prolongs its own, where the holder of the lease is inline.
	TakeTurn(ctx context.Context, s Stream, mine Turn) (Head, bool, error)
	// RenewLease records the progress of the holder, and renews its lease until a time. false
	// means that the lease is lost.
	RenewLease(ctx context.Context, s Stream, p Progress, until time.Time) (Head, bool, error)
	// ReleaseLease records the progress of the holder and ends its lease, unless there was an
	// announcement since it read wake, which it did before it read the publications that it has
	// dispatched. false with its own lease in the head means that there was one: the holder
	// repeats. With another lease or none, the lease is lost.
	ReleaseLease(ctx context.Context, s Stream, p Progress, wake uint64) (Head, bool, error)
	// DropLease records the progress of the holder and ends its lease, whatever was announced:
	// it grants the lease to a dispatcher that waits for its turn, for GrantTime, unless next is
	// the zero Turn. false means that the lease is lost.
	DropLease(ctx context.Context, s Stream, p Progress, next Turn) (Head, bool, error)
}
