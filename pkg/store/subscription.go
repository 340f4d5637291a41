package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The names of the attributes of a subscription are short: a fan-out reads, and pays for,
// the whole items of all subscribers.
const (
	attrSubscriberProtocol = "p"
	attrSubscriberBatch    = "a" // true where a frame may hold an array of pushes
	attrSubscriberUser     = "u"
	attrSubscriberInfo     = "i"
	attrSubscriberBasis    = "b"
	attrSubscriberHidden   = "h" // true while its connection is being closed
)

// RemoveSubscribers is one request for every 25 subscriptions.
func (s *Store) RemoveSubscribers(ctx context.Context, orphans []hub.Gone) error {
	var requests []types.WriteRequest
	seen := make(map[hub.Gone]bool, len(orphans)) // concurrent dispatches find the same one
	for _, o := range orphans {
		o.Hidden = false
		if !seen[o] {
			requests = append(requests, remove(subscriptionKey(o.Channel, o.Shard), o.Connection))
		}
		seen[o] = true
	}
	if err := s.write(ctx, requests); err != nil {
		return fmt.Errorf("remove %d subscribers: %w", len(orphans), err)
	}
	return nil
}

// Subscribers is one request for each megabyte of subscriptions, which is some thousands
// of them, made while the caller iterates.
func (s *Store) Subscribers(ctx context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Subscriber, error] {
	return subscriptions(ctx, s, ch, shard, live(s.now()), func(i item) hub.Subscriber {
		_, batch := i[attrSubscriberBatch]
		_, hidden := i[attrSubscriberHidden]
		return hub.Subscriber{
			Connection: textOf(i, schema.SortKey), Protocol: hub.Protocol(textOf(i, attrSubscriberProtocol)), Batch: batch,
			Basis: decodeBasis(textOf(i, attrSubscriberBasis)), Hidden: hidden,
		}
	}, schema.SortKey, attrSubscriberProtocol, attrSubscriberBatch, attrSubscriberBasis, attrSubscriberHidden)
}

// subscriptions yields the subscriptions of a shard that pass the filter, page by page, each
// as read makes it from the named attributes.
func subscriptions[T any](ctx context.Context, s *Store, ch hub.Channel, shard int, filter expression.ConditionBuilder, read func(item) T, first string, more ...string) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		attributes := expression.NamesList(expression.Name(first))
		for _, name := range more {
			attributes = attributes.AddNames(expression.Name(name))
		}
		e, err := expression.NewBuilder().
			WithKeyCondition(expression.Key(schema.PartitionKey).Equal(expression.Value(subscriptionKey(ch, shard)))).
			WithFilter(filter).WithProjection(attributes).Build()
		if err != nil {
			yield(nil, fmt.Errorf("read subscribers of %s: %w", ch, err))
			return
		}
		for page, err := range s.pages(ctx, &dynamodb.QueryInput{
			TableName: aws.String(s.table),
			// A client whose subscribe was acknowledged must get the next message. This doubles
			// the cost of the read, which is half a percent of the cost of the posts.
			ConsistentRead:         aws.Bool(true),
			KeyConditionExpression: e.KeyCondition(), FilterExpression: e.Filter(), ProjectionExpression: e.Projection(),
			ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		}) {
			if err != nil {
				yield(nil, fmt.Errorf("read subscribers of %s: %w", ch, err))
				return
			}
			values := make([]T, len(page))
			for n, i := range page {
				values[n] = read(i)
			}
			if !yield(values, nil) {
				return
			}
		}
	}
}
