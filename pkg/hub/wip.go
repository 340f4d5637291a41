package hub

import (
	"context"
	"time"
)

type Features struct{ Positioned, Recoverable, JoinLeave, Cache, CacheRecover bool }
type FeatureRequest struct{ Positioned, Recoverable, JoinLeave bool }
type wipAccess struct{ p *Project }

func (s *Session) access() wipAccess { return wipAccess{s.project} }
func (a wipAccess) Subscribe(ch Channel, granted bool) error {
	if _, ok := a.p.Categories[ch.Category]; !ok {
		return ErrCategoryNotFound
	}
	return nil
}
func (a wipAccess) Publish(ch Channel, in bool) error  { return a.Subscribe(ch, in) }
func (a wipAccess) Presence(ch Channel, in bool) error { return a.Subscribe(ch, in) }
func (a wipAccess) History(ch Channel, in bool) error  { return a.Subscribe(ch, in) }
func (a wipAccess) Features(ch Channel, r FeatureRequest, o Override) Features {
	return Features{Positioned: true, Recoverable: true}
}
func (s *Session) admit(ctx context.Context, st Stream, a Admission) error { return nil }

func (h *Hub) openWip(ctx context.Context, s Stream) (Position, error) {
	_, top, err := h.store.History(ctx, s, HistoryQuery{})
	return top, err
}

func (s *Session) RefreshSubscription(ctx context.Context, ch Channel, token string) (time.Duration, error) {
	return 0, ErrNotAvailable
}
