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

// Claims records which publishes are done or in progress, by idempotency key. Each
// method is one request.
type Claims interface {
	// Claim takes the key of a channel for IdempotencyLease from now. Where a publish
	// under that key was settled it returns the result of that, and takes nothing. It
	// fails with ErrConflict while another publish holds the key.
	Claim(ctx context.Context, ch Channel, key string, now time.Time) (settled *Result, err error)
	// Settle records, for IdempotencyWindow from now, that the publish was done, and how
	// many posts it delivered.
	Settle(ctx context.Context, ch Channel, key string, result Result, now time.Time) error
	// Release frees a key whose publish failed.
	Release(ctx context.Context, ch Channel, key string) error
}
