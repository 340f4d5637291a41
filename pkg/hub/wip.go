package hub

import (
	"context"
	"time"
)

func (s *Session) admit(ctx context.Context, st Stream, a Admission) error { return nil }

func (h *Hub) openWip(ctx context.Context, s Stream) (Position, error) {
	_, top, err := h.store.History(ctx, s, HistoryQuery{})
	return top, err
}

func (s *Session) RefreshSubscription(ctx context.Context, ch Channel, token string) (time.Duration, error) {
	return 0, ErrNotAvailable
}
