package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// guessAge is how long the top of a stream is remembered. It is less than
// hub.PublicationLife: an offset that was used since is not free yet.
const guessAge = time.Hour

// guess is what is known about a stream: it has at least these publications.
type guess struct {
	epoch string
	// last is the offset of the last publication, done that of the last one dispatched.
	last, done uint64
	// drawn means that the stream does not exist, and the epoch was drawn for it.
	drawn bool
}

// ahead reports whether the stream is too far ahead of its dispatch.
func (g guess) ahead() bool { return g.last-g.done >= hub.MaxAhead }

// remember records that a stream has these publications.
func (s *Store) remember(where string, g guess) {
	if old, ok := s.streams.get(where); ok && old.epoch == g.epoch {
		g.last, g.done = max(g.last, old.last), max(g.done, old.done)
	}
	g.last = max(g.last, g.done)
	s.streams.put(where, g, s.now())
}

// readGuess reads the top of a stream, and draws an epoch where there is none. What may
// expire while it is remembered is not.
func (s *Store) readGuess(ctx context.Context, st hub.Stream) (guess, error) {
	head, last, err := s.readTop(ctx, st)
	if err != nil {
		return guess{}, err
	}
	where := streamKey(st.Channel)
	s.streams.drop(where)
	if head.Epoch == "" {
		return guess{epoch: hub.NewID(s.now()), drawn: true}, nil
	}
	g := guess{epoch: head.Epoch, last: last, done: head.Done}
	if head.Expires.After(s.now().Add(guessAge)) {
		s.streams.put(where, g, s.now())
	}
	return g, nil
}

// readTop reads the head of a stream and the offset of its last publication, whether it has
// expired or not: one request; two where another epoch has left publications behind.
func (s *Store) readTop(ctx context.Context, st hub.Stream) (head hub.Head, last uint64, err error) {
	i, err := s.lastItems(ctx, expression.Key(schema.PartitionKey).Equal(expression.Value(streamKey(st.Channel))), 2)
	if err != nil {
		return hub.Head{}, 0, err
	}
	if len(i) == 0 || textOf(i[0], schema.SortKey) != headSort {
		return hub.Head{}, 0, nil
	}
	if head = decodeHead(st.Channel, i[0], s.now()); head.Epoch == "" || len(i) == 1 {
		return head, head.Done, nil
	}
	at, err := parsePublicationSort(textOf(i[1], schema.SortKey))
	if err != nil {
		return hub.Head{}, 0, err
	}
	if at.Epoch != head.Epoch {
		if i, err = s.lastItems(ctx, between(st, head.Epoch, 1, math.MaxUint64), 1); err != nil {
			return hub.Head{}, 0, err
		}
		if len(i) == 0 {
			return head, head.Done, nil
		}
		if at, err = parsePublicationSort(textOf(i[0], schema.SortKey)); err != nil {
			return hub.Head{}, 0, err
		}
	}
	return head, max(at.Offset, head.Done), nil
}

// lastItems reads the last items of a query, the last one first: of a publication only its
// key.
func (s *Store) lastItems(ctx context.Context, k expression.KeyConditionBuilder, limit int32) ([]item, error) {
	names := expression.NamesList(expression.Name(schema.SortKey))
	for _, name := range headAttributes {
		names = names.AddNames(expression.Name(name))
	}
	e, err := expression.NewBuilder().WithKeyCondition(k).WithProjection(names).Build()
	if err != nil {
		return nil, err
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(limit),
		KeyConditionExpression: e.KeyCondition(), ProjectionExpression: e.Projection(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	})
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

// Announce is one UpdateItem, or one PutItem where the stream is new.
func (s *Store) Announce(ctx context.Context, st hub.Stream, a hub.Appended, mine hub.Lease) (hub.Announced, error) {
	result, err := s.announce(ctx, st, a, mine)
	if err != nil {
		return hub.Announced{}, fmt.Errorf("announce in stream of %s: %w", st.Channel, err)
	}
	return result, nil
}

func (s *Store) announce(ctx context.Context, st hub.Stream, a hub.Appended, mine hub.Lease) (hub.Announced, error) {
	where := streamKey(st.Channel)
	for attempt := 0; ; attempt++ {
		if err := backOff(ctx, max(attempt-1, 0)); err != nil {
			return hub.Announced{}, err
		}
		at := a.Message.Position
		head, ok, err := s.wake(ctx, st, a, mine)
		if err != nil {
			return hub.Announced{}, err
		}
		if ok {
			s.remember(where, guess{epoch: at.Epoch, last: at.Offset, done: head.Done})
			return hub.Announced{Message: a.Message, Moved: attempt > 0, Head: head}, nil
		}
		s.streams.drop(where)
		// Nobody reads the former epoch any more, nor begins it again.
		if !a.Skipped {
			if _, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(s.table), Key: key(where, publicationSort(at))}); err != nil {
				return hub.Announced{}, err
			}
		}
		if a, err = s.append(ctx, st, a.Message, a.Options, at); err != nil {
			return hub.Announced{}, err
		}
	}
}

// wake announces a publication. It returns false where the epoch is over. The condition does
// not compare times: whether an epoch is over must be the same to all, and the head alone tells.
func (s *Store) wake(ctx context.Context, st hub.Stream, a hub.Appended, mine hub.Lease) (hub.Head, bool, error) {
	epoch := a.Message.Position.Epoch
	if !a.New {
		return s.updateHead(ctx, st, expression.Add(expression.Name(attrWake), expression.Value(1)).
			Set(expression.Name(attrHeadLease), expression.IfNotExists(expression.Name(attrHeadLease), expression.Value(encodeLease(mine)))),
			expression.Name(attrEpoch).Equal(expression.Value(epoch)))
	}
	now := s.now()
	i := newHead(st, epoch, now)
	i[attrWake], i[attrHeadLease] = whole(1), encodeLease(mine)
	return s.begin(ctx, st, i, now)
}

// newHead makes the head of a stream that begins at now.
func newHead(st hub.Stream, epoch string, now time.Time) item {
	i := key(streamKey(st.Channel), headSort)
	i[attrEpoch], i[attrWake], i[attrDone], i[attrEra] = text(epoch), whole(0), whole(0), whole(hub.NewEra())
	i[schema.ExpiryAttribute] = expiry(st.Retention.StreamExpires(now))
	return i
}

// begin puts the head of a stream that does not exist. It returns the head and true or, where
// another epoch has begun, its head and false.
func (s *Store) begin(ctx context.Context, st hub.Stream, i item, now time.Time) (hub.Head, bool, error) {
	e, err := expression.NewBuilder().WithCondition(absent().Or(expired(now))).Build()
	if err != nil {
		return hub.Head{}, false, err
	}
	err = s.uncontended(ctx, func() error {
		_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
			ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if old, failed := conditionFailed(err); failed {
		// The SDK repeats a request whose response was lost: then the epoch is that of this call.
		return decodeHead(st.Channel, old, now), textOf(old, attrEpoch) == textOf(i, attrEpoch), nil
	}
	return decodeHead(st.Channel, i, now), true, err
}

// OpenStream is one Query, and one PutItem for a new stream; one Query more where another
// request has just begun it.
func (s *Store) OpenStream(ctx context.Context, st hub.Stream) (hub.Position, error) {
	for {
		g, err := s.readGuess(ctx, st)
		if err != nil {
			return hub.Position{}, fmt.Errorf("open stream of %s: %w", st.Channel, err)
		}
		if !g.drawn {
			return hub.Position{Epoch: g.epoch, Offset: g.last}, nil
		}
		now := s.now()
		_, begun, err := s.begin(ctx, st, newHead(st, g.epoch, now), now)
		if err != nil {
			return hub.Position{}, fmt.Errorf("open stream of %s: %w", st.Channel, err)
		}
		if begun {
			return hub.Position{Epoch: g.epoch}, nil
		}
	}
}
