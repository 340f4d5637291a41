package hub

import "context"

// History returns publications of a channel's stream, and the top position of the stream. It
// fails with ErrCategoryNotFound, ErrBadRequest, ErrNotAvailable where the category keeps no
// history, and ErrUnrecoverablePosition where the epoch of q.Since is another one.
func (h *Hub) History(ctx context.Context, p *Project, ch Channel, q HistoryQuery) (publications []Message, top Position, err error) {
	s, err := history(p, ch)
	if err != nil {
		return nil, Position{}, err
	}
	return h.store.History(ctx, s, q)
}

// RemoveHistory makes history return nothing of what a channel's stream holds now. Offsets go
// on, and what waits for its dispatch is dispatched. It fails as History does.
func (h *Hub) RemoveHistory(ctx context.Context, p *Project, ch Channel) error {
	s, err := history(p, ch)
	if err != nil {
		return err
	}
	return h.store.RemoveHistory(ctx, s)
}

// history is the stream of a channel that keeps history.
func history(p *Project, ch Channel) (Stream, error) {
	if err := ch.Validate(); err != nil {
		return Stream{}, err
	}
	category, err := p.CategoryOf(ch)
	if err != nil {
		return Stream{}, err
	}
	s, _ := p.Stream(ch)
	if s.Retention.Size == 0 {
		return Stream{}, category.noHistory()
	}
	return s, nil
}

func (c Category) noHistory() *Error {
	return ErrNotAvailable.With(c.Title() + " keeps no history").WithHelp("turn on its options history_size and history_ttl")
}
