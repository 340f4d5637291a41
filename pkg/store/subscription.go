package store

import (
	"context"
	"fmt"
	"hash/fnv"
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
	attrSubscriberUser     = "u"
	attrSubscriberInfo     = "i"
)

// joinAttempts is how often Subscribe tries to change a connection whose channels
// other commands are changing.
const joinAttempts = 8

// Subscribe is one request, and one for every 25 channels. It makes one more for each
// change of the connection since it was read that matters: close to the channel limit, or
// after the number of shards was raised. In addition to its contract it fails with
// ErrUnauthorized when the connection has authenticated to another project since it was
// read.
func (s *Store) Subscribe(ctx context.Context, c hub.Connection, channels map[hub.Channel]int) error {
	places, err := s.joinChannels(ctx, c, channels)
	if err != nil {
		return fmt.Errorf("subscribe connection %s: %w", c.ID, err)
	}
	requests := make([]types.WriteRequest, 0, len(places))
	for ch, shard := range places {
		i := key(subscriptionKey(ch, shard), c.ID)
		i[attrSubscriberProtocol] = text(string(c.Protocol))
		// A subscription expires with the token, too.
		i[schema.ExpiryAttribute] = number(int(c.Until().Unix()))
		if c.User != "" {
			i[attrSubscriberUser] = text(c.User)
		}
		if len(c.Info) > 0 {
			i[attrSubscriberInfo] = text(string(c.Info))
		}
		requests = append(requests, put(i))
	}
	if err := s.write(ctx, requests); err != nil {
		return fmt.Errorf("write subscriptions of connection %s: %w", c.ID, err)
	}
	return nil
}

// joinChannels adds channels to the connection's set, within the limit, and
// returns the shard that each is recorded in.
func (s *Store) joinChannels(ctx context.Context, c hub.Connection, channels map[hub.Channel]int) (map[hub.Channel]int, error) {
	full := hub.ErrLimitExceeded.With(fmt.Sprintf("a connection may be in at most %d channels", hub.MaxChannels))
	known := c.Channels
	for range joinAttempts {
		places, fresh := place(c.ID, channels, known)
		if fresh > hub.MaxChannels {
			return nil, full
		}
		set := expression.Name(attrChannels)
		room := expression.AttributeNotExists(set).
			Or(set.Size().LessThanEqual(expression.Value(hub.MaxChannels - fresh)))
		out, err := s.updateChannels(ctx, c, expression.Add(set, members(places)), room)
		if err == nil {
			return s.keepRecordedShards(ctx, c, places, out.Attributes)
		}
		old, ok := conditionFailed(err)
		if !ok {
			return nil, err
		}
		now, err := decodeConnection(old, s.now())
		if err != nil {
			return nil, err
		}
		if now.Project != c.Project {
			return nil, hub.ErrUnauthorized
		}
		// The connection is in more channels than c: some of them may be among channels.
		known = now.Channels
		if _, fresh := place(c.ID, channels, known); len(known)+fresh > hub.MaxChannels {
			return nil, full
		}
	}
	return nil, hub.ErrConflict
}

// keepRecordedShards compares the shards that were added, places, with the set before. A
// channel that was recorded in another shard, because the number of shards has been raised
// since c was read, stays in that shard: two subscriptions would deliver every message
// twice. It returns the shard of each channel.
func (s *Store) keepRecordedShards(ctx context.Context, c hub.Connection, places map[hub.Channel]int, before item) (map[hub.Channel]int, error) {
	old, ok := before[attrChannels].(*types.AttributeValueMemberSS)
	if !ok {
		return places, nil
	}
	redundant := make(map[hub.Channel]int)
	for _, m := range old.Value {
		ch, shard, err := parseMember(c.Project, m)
		if err != nil {
			return nil, err
		}
		if added, ok := places[ch]; ok && added != shard {
			redundant[ch], places[ch] = added, shard
		}
	}
	if len(redundant) == 0 {
		return places, nil
	}
	return places, s.leaveChannels(ctx, c, redundant)
}

// leaveChannels removes channels from the connection's set. A connection that is over, or
// has another project, is in none of them.
func (s *Store) leaveChannels(ctx context.Context, c hub.Connection, places map[hub.Channel]int) error {
	_, err := s.updateChannels(ctx, c, expression.Delete(expression.Name(attrChannels), members(places)))
	if _, ok := conditionFailed(err); ok {
		return nil
	}
	return err
}

// updateChannels updates a connection that has not expired and has the project of c, on
// further conditions. It returns the set before.
func (s *Store) updateChannels(ctx context.Context, c hub.Connection, u expression.UpdateBuilder, conditions ...expression.ConditionBuilder) (*dynamodb.UpdateItemOutput, error) {
	sameProject := expression.Name(attrProject).Equal(expression.Value(c.Project))
	e, err := expression.NewBuilder().WithUpdate(u).
		WithCondition(live(s.now()).And(sameProject, conditions...)).Build()
	if err != nil {
		return nil, err
	}
	return s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(s.table), Key: key(connectionKey(c.ID), singletonSort),
		UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValues:                        types.ReturnValueUpdatedOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
}

// place returns the shard of each channel: the recorded one, known, where the connection
// is in the channel already, and a computed one otherwise, which fresh counts. channels
// has the number of shards of each channel.
func place(connection string, channels, known map[hub.Channel]int) (places map[hub.Channel]int, fresh int) {
	places = make(map[hub.Channel]int, len(channels))
	for ch, shards := range channels {
		shard, ok := known[ch]
		if !ok {
			fresh++
			shard = shardOf(connection, shards)
		}
		places[ch] = shard
	}
	return places, fresh
}

// shardOf spreads connections over shards. It must never change: stored subscriptions
// depend on it.
func shardOf(connection string, shards int) int {
	h := fnv.New32a()
	h.Write([]byte(connection))
	return int(h.Sum32()>>1) % max(shards, 1)
}

func members(places map[hub.Channel]int) expression.ValueBuilder {
	set := &types.AttributeValueMemberSS{}
	for ch, shard := range places {
		set.Value = append(set.Value, member(ch, shard))
	}
	return expression.Value(set)
}

// Unsubscribe is one request, and one for every 25 channels; none if c is in none of the
// channels. A connection that is over is no error.
func (s *Store) Unsubscribe(ctx context.Context, c hub.Connection, channels []hub.Channel) error {
	places := make(map[hub.Channel]int, len(channels))
	var requests []types.WriteRequest
	for _, ch := range channels {
		shard, in := c.Channels[ch]
		if _, twice := places[ch]; !in || twice {
			continue
		}
		places[ch] = shard
		requests = append(requests, remove(subscriptionKey(ch, shard), c.ID))
	}
	if len(places) == 0 {
		return nil
	}
	// The set is changed last: CloseConnection removes the subscriptions that it names.
	if err := s.write(ctx, requests); err != nil {
		return fmt.Errorf("remove subscriptions of connection %s: %w", c.ID, err)
	}
	if err := s.leaveChannels(ctx, c, places); err != nil {
		return fmt.Errorf("unsubscribe connection %s: %w", c.ID, err)
	}
	return nil
}

// RemoveSubscriber is one request. It is for orphans: subscriptions that their connection
// does not name.
func (s *Store) RemoveSubscriber(ctx context.Context, ch hub.Channel, shard int, connection string) error {
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(s.table), Key: key(subscriptionKey(ch, shard), connection),
	})
	if err != nil {
		return fmt.Errorf("remove subscriber %s of %s: %w", connection, ch, err)
	}
	return nil
}

// Subscribers is one request for each megabyte of subscriptions, which is some thousands
// of them, made while the caller iterates.
func (s *Store) Subscribers(ctx context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Subscriber, error] {
	return subscriptions(ctx, s, ch, shard, func(i item) hub.Subscriber {
		return hub.Subscriber{Connection: textOf(i, schema.SortKey), Protocol: hub.Protocol(textOf(i, attrSubscriberProtocol))}
	}, schema.SortKey, attrSubscriberProtocol)
}

// subscriptions yields the subscriptions of a shard, page by page, each as read makes
// it from the named attributes.
func subscriptions[T any](ctx context.Context, s *Store, ch hub.Channel, shard int, read func(item) T, first string, more ...string) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		attributes := expression.NamesList(expression.Name(first))
		for _, name := range more {
			attributes = attributes.AddNames(expression.Name(name))
		}
		e, err := expression.NewBuilder().
			WithKeyCondition(expression.Key(schema.PartitionKey).Equal(expression.Value(subscriptionKey(ch, shard)))).
			WithFilter(live(s.now())).WithProjection(attributes).Build()
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
