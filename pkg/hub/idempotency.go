package hub

import (
	"context"
	"time"
)

// IdempotencyWindow is how long a publish with the same idempotency key in the
// same channel is answered without publishing again.
const IdempotencyWindow = 5 * time.Minute

// IdempotencyLease is how long a publish in progress holds its key. After that its
// publisher is assumed to have failed, and the key is free again.
const IdempotencyLease = 30 * time.Second

// Claim is what is recorded about the publishes under an idempotency key.
type Claim struct {
	// Settled is the result of the publish that succeeded, nil where there is none.
	Settled *Result
	// Message is the id of the message: that of the first publish under the key, so that a
	// subscriber who gets a repeat can tell.
	Message string
}

// Claims records which publishes are done or in progress, by idempotency key. Each
// method is one request, unless its comment says otherwise.
type Claims interface {
	// Claim takes the key of a channel for IdempotencyLease from now, for a message with
	// this id. Where a publish under that key was settled it returns its result, and takes
	// nothing. It fails with ErrConflict while another publish holds the key. Two requests
	// where the key was used before, more than IdempotencyWindow ago.
	Claim(ctx context.Context, ch Channel, key, message string, now time.Time) (Claim, error)
	// Settle records, for IdempotencyWindow from now, that the publish was done, and how
	// many posts it delivered.
	Settle(ctx context.Context, ch Channel, key string, claim Claim, now time.Time) error
	// Release frees a key whose publish failed. The id of its message stays.
	Release(ctx context.Context, ch Channel, key string) error
}
