package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The attributes of an occupancy, in addition to its expiry. "occupied" is absent or true, and
// "by" names the call that has changed it last.
const (
	attrOccupied      = "occupied"
	attrOccupancyNext = "sequence"
	attrOccupancyRev  = "subscribed"
	attrOccupancyBy   = "by"
)

func decodeOccupancy(i item) hub.Occupancy {
	_, occupied := i[attrOccupied]
	return hub.Occupancy{Occupied: occupied, Sequence: wholeOf(i, attrOccupancyNext), Version: wholeOf(i, attrOccupancyRev)}
}

// counted adds 1 to a number of an occupancy, or to first where there is none.
func counted(name string, first uint64) (expression.NameBuilder, expression.OperandBuilder) {
	n := expression.Name(name)
	return n, expression.Plus(expression.IfNotExists(n, expression.Value(whole(first))), expression.Value(1))
}

// Occupy is one UpdateItem where the channel is occupied. Otherwise a second one, which is
// conditional, makes it so: the answer to an update without a condition would not tell, where the
// SDK has repeated it, who did that.
func (s *Store) Occupy(ctx context.Context, ch hub.Channel, now time.Time) (hub.Occupancy, bool, error) {
	where, me := key(occupancyKey(ch), singletonSort), rand.Text()
	is := expression.Name(attrOccupied)
	subscribed := func(u expression.UpdateBuilder) expression.UpdateBuilder {
		return u.Set(counted(attrOccupancyRev, 0)).Set(expression.Name(schema.ExpiryAttribute), expression.Value(now.Add(hub.OccupancyRetention).Unix()))
	}
	for attempt := 0; ; attempt++ {
		if err := backOff(ctx, attempt); err != nil {
			return hub.Occupancy{}, false, fmt.Errorf("occupy %s: %w", ch, err)
		}
		i, err := s.update(ctx, where, subscribed(expression.UpdateBuilder{}), expression.AttributeExists(is))
		if _, vacant := conditionFailed(err); !vacant {
			if err != nil {
				return hub.Occupancy{}, false, fmt.Errorf("occupy %s: %w", ch, err)
			}
			return decodeOccupancy(i), false, nil
		}
		i, err = s.update(ctx, where, subscribed(expression.Set(is, expression.Value(true)).
			Set(counted(attrOccupancyNext, uint64(max(now.UnixMilli(), 0)))).
			Set(expression.Name(attrOccupancyBy), expression.Value(me))), expression.AttributeNotExists(is))
		old, occupied := conditionFailed(err)
		switch {
		case err == nil:
			return decodeOccupancy(i), true, nil
		case occupied && textOf(old, attrOccupancyBy) == me:
			return decodeOccupancy(old), true, nil // the answer to an attempt was lost
		case !occupied:
			return hub.Occupancy{}, false, fmt.Errorf("occupy %s: %w", ch, err)
		}
	}
}

// Occupancy is one Query.
func (s *Store) Occupancy(ctx context.Context, ch hub.Channel) (hub.Occupancy, error) {
	i, err := s.queryItem(ctx, occupancyKey(ch), singletonSort)
	if err != nil {
		return hub.Occupancy{}, fmt.Errorf("read occupancy of %s: %w", ch, err)
	}
	return decodeOccupancy(i), nil
}

// Vacate is one UpdateItem.
func (s *Store) Vacate(ctx context.Context, ch hub.Channel, o hub.Occupancy, now time.Time) (hub.Occupancy, bool, error) {
	me, is := rand.Text(), expression.Name(attrOccupied)
	i, err := s.update(ctx, key(occupancyKey(ch), singletonSort),
		expression.Remove(is).Set(counted(attrOccupancyNext, 0)).
			Set(expression.Name(attrOccupancyBy), expression.Value(me)).
			Set(expression.Name(schema.ExpiryAttribute), expression.Value(now.Add(hub.OccupancyRetention).Unix())),
		expression.AttributeExists(is).And(expression.Name(attrOccupancyRev).Equal(expression.Value(whole(o.Version)))))
	old, failed := conditionFailed(err)
	switch {
	case err == nil:
		return decodeOccupancy(i), true, nil
	case failed:
		// It may be this call that has vacated it: the answer to an attempt was lost.
		return decodeOccupancy(old), textOf(old, attrOccupancyBy) == me, nil
	}
	return hub.Occupancy{}, false, fmt.Errorf("vacate %s: %w", ch, err)
}

// HasSubscriber is one Query that reads one item, where that is a subscriber or there is none.
func (s *Store) HasSubscriber(ctx context.Context, ch hub.Channel, shard int) (bool, error) {
	e, err := expression.NewBuilder().
		WithKeyCondition(expression.Key(schema.PartitionKey).Equal(expression.Value(subscriptionKey(ch, shard)))).
		WithFilter(valid(s.now()).And(expression.AttributeNotExists(expression.Name(attrSubscriberHidden)))).
		WithProjection(expression.NamesList(expression.Name(schema.SortKey))).Build()
	if err != nil {
		return false, err
	}
	in := &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true), Limit: aws.Int32(1),
		KeyConditionExpression: e.KeyCondition(), FilterExpression: e.Filter(), ProjectionExpression: e.Projection(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}
	for {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return false, fmt.Errorf("read subscribers of %s: %w", ch, err)
		}
		if len(out.Items) > 0 || len(out.LastEvaluatedKey) == 0 {
			return len(out.Items) > 0, nil
		}
		// What has expired is read in growing steps.
		in.ExclusiveStartKey, in.Limit = out.LastEvaluatedKey, aws.Int32(min(*in.Limit*8, math.MaxInt16))
	}
}
