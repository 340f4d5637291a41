package hub

import (
	"context"
	"time"
)

// IdempotencyWindow is how long a publish with the same idempotency key in the
// same channel is answered without publishing again.
const IdempotencyWindow = 5 * time.Minute

// IdempotencyLease is how long a publish under way holds its key: past it the
// publisher is taken for dead, and the key is free again.
const IdempotencyLease = 30 * time.Second

// Claims remembers which publishes were carried out. Each method is one request.
type Claims interface {
	// Claim takes the key of a channel for IdempotencyLease from now. It returns
	// true when a publish under that key was settled and is remembered, and fails
	// with ErrConflict while another holds it.
	Claim(ctx context.Context, ch Channel, key string, now time.Time) (settled bool, err error)
	// Settle remembers, for IdempotencyWindow from now, that the publish was done.
	Settle(ctx context.Context, ch Channel, key string, now time.Time) error
	// Release frees a key whose publish failed.
	Release(ctx context.Context, ch Channel, key string) error
}
