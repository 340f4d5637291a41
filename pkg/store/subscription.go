package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

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

	// Of its own. A classic subscription has none of them. Flags are absent or true.
	attrMemberID          = "d"
	attrMemberJoining     = "j" // since when, in milliseconds since 1970
	attrMemberRecoverable = "r"
	attrMemberJoinLeave   = "l"
	attrMemberServer      = "s"
	attrMemberGranted     = "g"
	attrMemberInfo        = "c"
	attrMemberExpires     = "x" // in seconds since 1970
	attrMemberFrom        = "f"
	attrMemberEra         = "e"
	attrMemberLease       = "k"
	attrMemberLost        = "o"
	attrMemberUnlisted    = "n"
	attrMemberAnnounced   = "w" // true or false, absent where the category decides
)

// subscriberAttributes are the names of what decodeSubscriber reads.
var subscriberAttributes = []string{
	attrSubscriberProtocol, attrSubscriberBatch, attrSubscriberBasis, attrSubscriberHidden, attrMemberID, attrMemberJoining, attrMemberRecoverable,
	attrMemberJoinLeave, attrMemberServer, attrMemberGranted, attrMemberExpires, attrMemberFrom, attrMemberEra, attrMemberLease, attrMemberLost,
}

// encodeMembership adds what a subscription has of its own to its item.
func encodeMembership(i item, m hub.Membership) {
	if m.ID != "" {
		i[attrMemberID] = text(m.ID)
	}
	if m.Joining {
		i[attrMemberJoining] = number(int(m.Since.UnixMilli()))
	}
	for name, set := range map[string]bool{attrMemberRecoverable: m.Recoverable, attrMemberJoinLeave: m.JoinLeave, attrMemberServer: m.Server, attrMemberGranted: m.Granted, attrMemberUnlisted: m.Unlisted} {
		if set {
			i[name] = &types.AttributeValueMemberBOOL{Value: true}
		}
	}
	if len(m.Info) > 0 {
		i[attrMemberInfo] = text(string(m.Info))
	}
	if m.Announced != nil {
		i[attrMemberAnnounced] = &types.AttributeValueMemberBOOL{Value: *m.Announced}
	}
	if !m.Expires.IsZero() {
		i[attrMemberExpires] = number(int(m.Expires.Unix()))
	}
}

// decodeSubscriber reads a subscription.
func decodeSubscriber(i item) hub.Subscriber {
	has := func(name string) bool { _, ok := i[name]; return ok }
	s := hub.Subscriber{
		Connection: textOf(i, schema.SortKey), Protocol: hub.Protocol(textOf(i, attrSubscriberProtocol)), Batch: has(attrSubscriberBatch),
		Basis: decodeRight(i), Hidden: has(attrSubscriberHidden),
	}
	if !has(attrMemberID) {
		return s
	}
	s.Standing = hub.Standing{
		ID: textOf(i, attrMemberID), Recoverable: has(attrMemberRecoverable), JoinLeave: has(attrMemberJoinLeave), Joining: has(attrMemberJoining), Server: has(attrMemberServer),
		From: wholeOf(i, attrMemberFrom), Lost: has(attrMemberLost), Mark: hub.Mark{Lease: textOf(i, attrMemberLease), Era: wholeOf(i, attrMemberEra)},
	}
	if s.Joining {
		s.Since = time.UnixMilli(int64(numberOf(i, attrMemberJoining)))
	}
	return s
}

// decodeRight reads what the right of a subscription rests on.
func decodeRight(i item) hub.Basis {
	b := decodeBasis(textOf(i, attrSubscriberBasis))
	if _, granted := i[attrMemberGranted]; granted {
		b.Confirmed = true
	}
	return b
}

// valid is the condition that neither a subscription nor its connection has expired at now.
func valid(now time.Time) expression.ConditionBuilder {
	ends := expression.Name(attrMemberExpires)
	return live(now).And(expression.AttributeNotExists(ends).Or(ends.GreaterThan(expression.Value(now.Unix()))))
}

// AdmitSubscriber is one UpdateItem.
func (s *Store) AdmitSubscriber(ctx context.Context, a hub.Admission, from uint64, m hub.Mark) (hub.Subscriber, bool, error) {
	joining := expression.Name(attrMemberJoining)
	u := expression.Remove(joining).Set(expression.Name(attrMemberFrom), expression.Value(whole(from)))
	return s.mark(ctx, hub.Gone{Channel: a.Channel, Shard: a.Shard, Connection: a.Connection}, u, m,
		memberID(a.ID).And(expression.AttributeExists(joining), valid(s.now())))
}

// LoseSubscriber is one UpdateItem.
func (s *Store) LoseSubscriber(ctx context.Context, l hub.Lost, m hub.Mark) (hub.Subscriber, bool, error) {
	u := expression.Remove(expression.Name(attrMemberJoining)).
		Set(expression.Name(attrMemberLost), expression.Value(true))
	return s.mark(ctx, l.Gone, u, m, memberID(l.ID).And(valid(s.now())))
}

// ReadSubscriber is one Query, which every function may make.
func (s *Store) ReadSubscriber(ctx context.Context, where hub.Gone) (hub.Subscriber, bool, error) {
	i, err := s.queryItem(ctx, subscriptionKey(where.Channel, where.Shard), where.Connection)
	if err != nil {
		return hub.Subscriber{}, false, fmt.Errorf("read subscription of %s to %s: %w", where.Connection, where.Channel, err)
	}
	if i == nil {
		return hub.Subscriber{}, false, nil
	}
	now := s.now().Unix()
	found := decodeSubscriber(i)
	own := int64(numberOf(i, attrMemberExpires))
	found.Expired = own != 0 && own <= now
	if info := textOf(i, attrMemberInfo); info != "" {
		found.Info = json.RawMessage(info)
	}
	if announced, ok := i[attrMemberAnnounced].(*types.AttributeValueMemberBOOL); ok {
		found.Announced = &announced.Value
	}
	return found, !found.Expired && int64(numberOf(i, schema.ExpiryAttribute)) > now, nil
}

// RenewSubscriber is one UpdateItem.
func (s *Store) RenewSubscriber(ctx context.Context, where hub.Gone, expires time.Time, info json.RawMessage) (bool, error) {
	ends, attached := expression.Name(attrMemberExpires), expression.Name(attrMemberInfo)
	u := expression.Remove(ends)
	if !expires.IsZero() {
		u = expression.Set(ends, expression.Value(expires.Unix()))
	}
	if info != nil {
		u = u.Set(attached, expression.Value(string(info)))
	} else {
		u = u.Remove(attached)
	}
	_, err := s.update(ctx, placeKey(where), u, valid(s.now()).And(expression.AttributeNotExists(expression.Name(attrSubscriberHidden))))
	if _, failed := conditionFailed(err); failed {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("renew subscription of %s to %s: %w", where.Connection, where.Channel, err)
	}
	return true, nil
}

// placeKey is the key of a subscription.
func placeKey(where hub.Gone) item {
	return key(subscriptionKey(where.Channel, where.Shard), where.Connection)
}

func memberID(id string) expression.ConditionBuilder {
	return expression.Name(attrMemberID).Equal(expression.Value(id))
}

// mark updates a subscription and writes a mark into it.
func (s *Store) mark(ctx context.Context, where hub.Gone, u expression.UpdateBuilder, m hub.Mark, condition expression.ConditionBuilder) (hub.Subscriber, bool, error) {
	u = u.Set(expression.Name(attrMemberEra), expression.Value(whole(m.Era))).Set(expression.Name(attrMemberLease), expression.Value(m.Lease))
	i, err := s.update(ctx, placeKey(where), u, condition)
	if old, failed := conditionFailed(err); failed {
		if int64(numberOf(old, schema.ExpiryAttribute)) <= s.now().Unix() {
			return hub.Subscriber{}, false, nil
		}
		return decodeSubscriber(old), false, nil
	}
	if err != nil {
		return hub.Subscriber{}, false, fmt.Errorf("mark subscription of %s to %s: %w", where.Connection, where.Channel, err)
	}
	return decodeSubscriber(i), true, nil
}

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
	now := s.now()
	return subscriptions(ctx, s, ch, shard, live(now), func(i item) hub.Subscriber {
		found := decodeSubscriber(i)
		ends := int64(numberOf(i, attrMemberExpires))
		found.Expired = ends != 0 && ends <= now.Unix()
		return found
	}, schema.SortKey, subscriberAttributes...)
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
