package store

import (
	"context"
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// History is one Query for the top, and one for each megabyte of publications that are read:
// those that are too old count too.
func (s *Store) History(ctx context.Context, st hub.Stream, q hub.HistoryQuery) (publications []hub.Message, top hub.Position, err error) {
	if publications, top, err = s.history(ctx, st, q); err != nil {
		return nil, hub.Position{}, fmt.Errorf("read history of %s: %w", st.Channel, err)
	}
	return publications, top, nil
}

func (s *Store) history(ctx context.Context, st hub.Stream, q hub.HistoryQuery) ([]hub.Message, hub.Position, error) {
	head, last, err := s.readTop(ctx, st)
	if err != nil {
		return nil, hub.Position{}, err
	}
	top := hub.Position{Epoch: head.Epoch, Offset: last}
	if q.Since != nil && q.Since.Epoch != "" && q.Since.Epoch != top.Epoch {
		return nil, hub.Position{}, hub.ErrUnrecoverablePosition
	}
	first := head.Removed + 1
	if size := uint64(max(st.Retention.Size, 0)); last > size { //nolint:gosec // it is not negative
		first = max(first, last-size+1)
	}
	switch {
	case q.Since == nil:
	case q.Reverse:
		last = min(last, max(q.Since.Offset, 1)-1)
	case q.Since.Offset >= last:
		first = last + 1
	default:
		first = max(first, q.Since.Offset+1)
	}
	if q.Bytes == 0 {
		q.Bytes = hub.MaxHistoryBytes
	}
	limit := q.Limit
	if limit < 0 || limit > hub.MaxHistory {
		limit = hub.MaxHistory
	}
	if st.Retention.Size == 0 || limit == 0 || first > last {
		return nil, top, nil
	}
	publications, err := s.window(ctx, st, between(st, head.Epoch, first, last), limit, q.Bytes, q.Reverse)
	return publications, top, err
}

// window reads publications that are not too old, up to a limit and about maxBytes. They follow each other
// without a gap: where one is too old, or was deleted because it had expired, those before it
// count as too old, whatever the clocks of their publishers said.
func (s *Store) window(ctx context.Context, st hub.Stream, k expression.KeyConditionBuilder, limit, maxBytes int, reverse bool) (found []hub.Message, err error) {
	now := s.now()
	bytes, step := 0, uint64(1)
	if reverse {
		step = math.MaxUint64 // -1: it wraps around
	}
	in, err := s.publicationQuery(k, limit, reverse)
	if err != nil {
		return nil, err
	}
	for page, err := range s.pages(ctx, in) {
		if err != nil {
			return nil, err
		}
		in.Limit = nil // what is too old may take many items
		for _, i := range page {
			m, err := decodePublication(st, i)
			if err != nil {
				return nil, err
			}
			old := int64(numberOf(i, schema.ExpiryAttribute)) <= now.Unix() || !m.Time.After(now.Add(-st.Retention.TTL))
			gap := len(found) > 0 && m.Position.Offset != found[len(found)-1].Position.Offset+step
			if reverse && (old || gap) {
				return found, nil
			}
			if old || gap {
				found, bytes = nil, 0
			}
			if old {
				continue
			}
			if bytes += len(m.Data); bytes > maxBytes && len(found) > 0 {
				return found, nil
			}
			if found = append(found, m); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

// RemoveHistory is one Query and one UpdateItem.
func (s *Store) RemoveHistory(ctx context.Context, st hub.Stream) error {
	head, last, err := s.readTop(ctx, st)
	if err == nil && last > head.Removed {
		removed := expression.Name(attrRemoved)
		_, _, err = s.updateHead(ctx, st, expression.Set(removed, expression.Value(whole(last))),
			// Another call may have removed more.
			expression.Name(attrEpoch).Equal(expression.Value(head.Epoch)).And(
				expression.AttributeNotExists(removed).Or(removed.LessThan(expression.Value(whole(last))))))
	}
	if err != nil {
		return fmt.Errorf("remove history of %s: %w", st.Channel, err)
	}
	return nil
}
