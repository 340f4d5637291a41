package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// maxTransaction is the most items that DynamoDB takes in one transaction. One is the
// connection.
const maxTransaction = 100

// stateAttributes are the names of the attributes of a stateItem.
var stateAttributes = func() (names []string) {
	for i := range reflect.TypeFor[stateItem]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[stateItem]().Field(i).Tag.Get("dynamodbav"), ",")
		names = append(names, name)
	}
	return names
}()

// ChangeConnection writes the connection and its subscriptions in one transaction, which is
// conditional on the revision of the connection: so what a connection names and what a
// fan-out reads never differ. It is one TransactWriteItems for every 99 subscriptions, one
// UpdateItem where no subscription changes, and no request where nothing does. It makes as
// many more for each other change that comes between, and from the second on one Query too.
func (s *Store) ChangeConnection(ctx context.Context, c hub.Connection, plan func(hub.Connection) (hub.Change, error)) (before, after hub.Connection, err error) {
	before, after = c, c
	for attempt := 0; ; attempt++ {
		// The first repeat has what another change has left. Where many commands of a client
		// arrive at the same time, what a later one knows is outdated after the wait.
		if attempt > 1 {
			if err := backOff(ctx, attempt-1); err != nil {
				return before, after, fmt.Errorf("change connection %s: %w", c.ID, err)
			}
			i, err := s.queryItem(ctx, connectionKey(c.ID), singletonSort)
			if err != nil {
				return hub.Connection{}, hub.Connection{}, fmt.Errorf("read connection %s: %w", c.ID, err)
			}
			now, err := decodeConnection(i, s.now())
			if err != nil {
				return hub.Connection{}, hub.Connection{}, fmt.Errorf("read connection %s: %w", c.ID, err)
			}
			before, after = rebase(before, after, now), now
		}
		change, err := plan(after)
		if err != nil {
			return before, after, err
		}
		change.ID, change.Origin, change.Scope, change.Expires, change.Revision = c.ID, c.Origin, c.Scope, c.Expires, after.Revision
		after, err = s.apply(ctx, after, change)
		old, changed := conditionFailed(err)
		switch {
		case err == nil:
			return before, after, nil
		case changed:
			other, err := decodeConnection(old, s.now())
			if err != nil {
				return hub.Connection{}, hub.Connection{}, fmt.Errorf("change connection %s: %w", c.ID, err)
			}
			before, after = rebase(before, after, other), other
		case !errors.Is(err, errContended):
			return before, after, fmt.Errorf("change connection %s: %w", c.ID, err)
		}
	}
}

// rebase returns the state before a call that has left the connection in state after, as if
// what others have changed since, to state now, had been so before.
func rebase(before, after, now hub.Connection) hub.Connection {
	if after.Revision == before.Revision {
		return now // the call has written nothing
	}
	channels := written(now.Channels, nil)
	for ch, shard := range before.Channels {
		if _, stayed := after.Channels[ch]; !stayed {
			channels[ch] = shard
		}
	}
	for ch := range after.Channels {
		if _, was := before.Channels[ch]; !was {
			delete(channels, ch)
		}
	}
	before.Channels = channels
	return before
}

// errContended: another transaction is changing the connection or a subscription.
var errContended = errors.New("another transaction is in progress")

// subscriptionWrite writes or deletes a subscription.
type subscriptionWrite struct {
	hub.Place
	// put means that it exists afterwards, whole that all of it is written: otherwise it gets
	// anew what it has from the connection, and keeps what it has of its own.
	put, whole bool
}

// apply writes a change of before, and returns the connection as its last transaction left
// it, also after an error. It fails as conditionFailed reports where another change came
// between, and with errContended.
func (s *Store) apply(ctx context.Context, before hub.Connection, change hub.Change) (hub.Connection, error) {
	writes, stale := subscriptionWrites(before, change)
	same, err := sameState(before, change.Connection)
	if err != nil || same && len(writes) == 0 {
		return before, err
	}
	now := before
	for first := true; first || len(writes) > 0; first = false {
		step := writes[:min(len(writes), maxTransaction-1)]
		writes, stale = writes[len(step):], stale-len(step)
		// The connection names what is written so far, and has its new identity when no
		// subscription of the old one remains: a repeat of the command writes the rest.
		next := change.Connection
		if stale > 0 {
			next = before
		}
		if len(writes) > 0 {
			next.Channels = written(now.Channels, step)
		}
		next.Revision = now.Revision + 1
		if err := s.applyStep(ctx, now, next, step, change); err != nil {
			return now, err
		}
		now = next
	}
	return now, nil
}

// written are channels after writes of subscriptions.
func written(channels map[hub.Channel]int, writes []subscriptionWrite) map[hub.Channel]int {
	channels = maps.Clone(channels)
	if channels == nil {
		channels = make(map[hub.Channel]int, len(writes))
	}
	for _, w := range writes {
		if w.put {
			channels[w.Channel] = w.Shard
		} else {
			delete(channels, w.Channel)
		}
	}
	return channels
}

// sameState reports whether two states of a connection have the same attributes.
func sameState(a, b hub.Connection) (bool, error) {
	one, err := encodeState(a)
	if err != nil {
		return false, err
	}
	other, err := encodeState(b)
	return reflect.DeepEqual(one, other), err
}

// subscriptionWrites are the differences between the subscriptions of a connection and
// those of its new state: first the stale ones, which are removed or have new content, and
// then those in new channels.
func subscriptionWrites(before hub.Connection, change hub.Change) (writes []subscriptionWrite, stale int) {
	var rewritten, joined []subscriptionWrite
	for ch, shard := range before.Channels {
		if kept, stays := change.Channels[ch]; !stays || kept != shard {
			writes = append(writes, subscriptionWrite{Place: hub.Place{Channel: ch, Shard: shard}})
		}
	}
	for _, p := range change.Remove {
		w := subscriptionWrite{Place: p}
		_, named := before.Channels[p.Channel]
		_, joins := change.Channels[p.Channel]
		if !named && !joins && !slices.Contains(writes, w) {
			writes = append(writes, w)
		}
	}
	for ch, shard := range change.Channels {
		w := subscriptionWrite{Place: hub.Place{Channel: ch, Shard: shard}, put: true}
		_, w.whole = change.Memberships[ch]
		switch was, named := before.Channels[ch]; {
		case !named || was != shard:
			w.whole = true
			joined = append(joined, w)
		case change.Writes(before, ch):
			rewritten = append(rewritten, w)
		}
	}
	writes = append(writes, rewritten...)
	return append(writes, joined...), len(writes)
}

// applyStep makes one request: an update of the connection from one state to the next, and
// the writes of subscriptions, with the content that the change gives them, in the same
// transaction.
func (s *Store) applyStep(ctx context.Context, from, to hub.Connection, writes []subscriptionWrite, change hub.Change) error {
	state, err := encodeState(to)
	if err != nil {
		return err
	}
	var update expression.UpdateBuilder
	for _, name := range stateAttributes {
		if value, ok := state[name]; ok {
			update = update.Set(expression.Name(name), expression.Value(value))
		} else {
			update = update.Remove(expression.Name(name))
		}
	}
	if change.Paid {
		// Not removed: Spend compares it.
		update = update.Set(expression.Name(attrDebt), expression.Value(s.now().UnixMilli()))
	}
	where, condition := key(connectionKey(from.ID), singletonSort), unchangedConnection(from, s)
	if len(writes) == 0 {
		_, err := s.update(ctx, where, update, condition)
		return err
	}
	e, err := expression.NewBuilder().WithUpdate(update).WithCondition(condition).Build()
	if err != nil {
		return err
	}
	items := []types.TransactWriteItem{{Update: &types.Update{
		TableName: aws.String(s.table), Key: where,
		UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
	for _, w := range writes {
		switch {
		case w.whole:
			i := subscriptionItem(change.Connection, w.Place)
			encodeMembership(i, change.Memberships[w.Channel])
			items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: aws.String(s.table), Item: i}})
		case w.put:
			u, err := s.renewal(subscriptionItem(change.Connection, w.Place))
			if err != nil {
				return err
			}
			items = append(items, types.TransactWriteItem{Update: u})
		default:
			items = append(items, s.deletion(key(subscriptionKey(w.Channel, w.Shard), from.ID)))
		}
	}
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return cancelled(err)
}

// unchangedConnection is the condition that a connection is still in a state that was
// read. The channels are compared too: versions before this one change them alone.
func unchangedConnection(c hub.Connection, s *Store) expression.ConditionBuilder {
	revision, channels := expression.Name(attrConnRevision), expression.Name(attrChannels)
	condition := open(s.now())
	if c.Revision == 0 {
		condition = condition.And(expression.AttributeNotExists(revision))
	} else {
		condition = condition.And(revision.Equal(expression.Value(c.Revision)))
	}
	if len(c.Channels) == 0 {
		return condition.And(expression.AttributeNotExists(channels))
	}
	return condition.And(channels.Equal(expression.Value(members(c.Channels))))
}

// cancelled translates why a transaction was cancelled: the failed condition of its first
// item as conditionFailed reports it, or errContended.
func cancelled(err error) error {
	canceled := new(types.TransactionCanceledException)
	if !errors.As(err, &canceled) {
		return err
	}
	for n, reason := range canceled.CancellationReasons {
		switch code := aws.ToString(reason.Code); {
		case n == 0 && code == "ConditionalCheckFailed":
			return &types.ConditionalCheckFailedException{Message: reason.Message, Item: reason.Item}
		case code == "TransactionConflict", code == "ThrottlingError", code == "ProvisionedThroughputExceeded":
			return errContended
		}
	}
	return err
}

// connectionPart are the names of what a subscription has from its connection, and that the
// connection is being closed.
var connectionPart = []string{
	attrSubscriberProtocol, attrSubscriberBatch, schema.ExpiryAttribute, attrSubscriberUser, attrSubscriberInfo, attrSubscriberBasis, attrSubscriberHidden,
}

// renewal is the update of a subscription to what i has from the connection.
func (s *Store) renewal(i item) (*types.Update, error) {
	var u expression.UpdateBuilder
	for _, name := range connectionPart {
		if value, ok := i[name]; ok {
			u = u.Set(expression.Name(name), expression.Value(value))
		} else {
			u = u.Remove(expression.Name(name))
		}
	}
	e, err := expression.NewBuilder().WithUpdate(u).Build()
	if err != nil {
		return nil, err
	}
	return &types.Update{
		TableName: aws.String(s.table), Key: key(textOf(i, schema.PartitionKey), textOf(i, schema.SortKey)),
		UpdateExpression: e.Update(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}, nil
}

// subscriptionItem is what the item of a connection's subscription has from the connection.
func subscriptionItem(c hub.Connection, p hub.Place) item {
	i := key(subscriptionKey(p.Channel, p.Shard), c.ID)
	i[attrSubscriberProtocol] = text(string(c.Protocol))
	if c.Batch {
		i[attrSubscriberBatch] = &types.AttributeValueMemberBOOL{Value: true}
	}
	// A subscription expires with the token, too.
	i[schema.ExpiryAttribute] = number(int(c.Until().Unix()))
	if c.User != "" {
		i[attrSubscriberUser] = text(c.User)
	}
	if len(c.Info) > 0 {
		i[attrSubscriberInfo] = text(string(c.Info))
	}
	if basis := encodeBasis(c.BasisIn(p.Channel)); basis != "" {
		i[attrSubscriberBasis] = text(basis)
	}
	return i
}

// members are the names of channels with their shards, sorted.
func members(places map[hub.Channel]int) *types.AttributeValueMemberSS {
	set := &types.AttributeValueMemberSS{}
	for ch, shard := range places {
		set.Value = append(set.Value, member(ch, shard))
	}
	slices.Sort(set.Value)
	return set
}
