package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The attributes of a head, in addition to its expiry. Lease and turn are one map each, so
// that they are taken and removed whole.
const (
	attrEpoch        = "epoch"
	attrWake         = "wake"
	attrDone         = "done"
	attrHeadLease    = "lease"
	attrNext         = "next"
	attrRemoved      = "removed"
	attrBatch        = "batch"
	attrVersion      = "version"
	attrVersionEpoch = "version_epoch"
	attrJoins        = "joins" // a set, absent where nobody waits
	attrEra          = "era"
	attrChanged      = "changed"

	// In the maps. Times are in milliseconds since 1970.
	attrID      = "id"
	attrDurable = "durable"
	attrRequest = "request"
	attrGranted = "granted"
	attrEnd     = "until"
)

// headAttributes are the names of what decodeHead reads.
var headAttributes = []string{schema.ExpiryAttribute, attrEpoch, attrWake, attrDone, attrHeadLease, attrNext, attrRemoved, attrBatch, attrJoins, attrEra, attrChanged}

// within is the name of an attribute in a map.
func within(name, part string) expression.NameBuilder { return expression.Name(name + "." + part) }

func encodeLease(l hub.Lease) types.AttributeValue {
	i := item{
		attrID: text(l.ID), attrDurable: &types.AttributeValueMemberBOOL{Value: l.Durable}, attrRequest: text(l.Request), attrEnd: number(int(l.Until.UnixMilli())),
	}
	if l.Granted {
		i[attrGranted] = &types.AttributeValueMemberBOOL{Value: true}
	}
	return &types.AttributeValueMemberM{Value: i}
}

func encodeTurn(t hub.Turn) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{attrRequest: text(t.Request), attrEnd: number(int(t.Until.UnixMilli()))}}
}

// encodeAdmissions makes the members of a set. None has the epoch, which is that of the head.
func encodeAdmissions(all []hub.Admission) *types.AttributeValueMemberSS {
	set := &types.AttributeValueMemberSS{}
	for _, a := range all {
		set.Value = append(set.Value, admissionMember(a))
	}
	return set
}

// decodeAdmissions is the reverse. It leaves out what is none: nobody could remove it.
func decodeAdmissions(ch hub.Channel, i item) (all []hub.Admission) {
	set, _ := i[attrJoins].(*types.AttributeValueMemberSS)
	if set == nil {
		return nil
	}
	for _, s := range set.Value {
		if a, err := parseAdmissionMember(ch, s); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// decodeHead returns the zero Head for no item, and for one that has expired at now.
func decodeHead(ch hub.Channel, i item, now time.Time) hub.Head {
	if int64(numberOf(i, schema.ExpiryAttribute)) <= now.Unix() {
		return hub.Head{}
	}
	h := hub.Head{
		Epoch: textOf(i, attrEpoch), Wake: wholeOf(i, attrWake), Done: wholeOf(i, attrDone), Removed: wholeOf(i, attrRemoved), Batch: numberOf(i, attrBatch),
		Joins: decodeAdmissions(ch, i), Era: wholeOf(i, attrEra), Changed: wholeOf(i, attrChanged),
		Expires: time.Unix(int64(numberOf(i, schema.ExpiryAttribute)), 0),
	}
	if l := mapOf(i, attrHeadLease); l != nil {
		durable, _ := l[attrDurable].(*types.AttributeValueMemberBOOL)
		_, granted := l[attrGranted]
		h.Lease = hub.Lease{
			Granted: granted, ID: textOf(l, attrID), Durable: durable != nil && durable.Value, Request: textOf(l, attrRequest), Until: time.UnixMilli(int64(numberOf(l, attrEnd))),
		}
	}
	if t := mapOf(i, attrNext); t != nil {
		h.Next = hub.Turn{Request: textOf(t, attrRequest), Until: time.UnixMilli(int64(numberOf(t, attrEnd)))}
	}
	return h
}

// expiry is the attribute of an item that exists until t at least: later, where t is no whole
// second.
func expiry(t time.Time) types.AttributeValue {
	return number(int(t.Add(time.Second - 1).Unix()))
}

// over is the condition that a map of a head, its lease or its turn, has expired at now.
func over(name string, now time.Time) expression.ConditionBuilder {
	return within(name, attrEnd).LessThanEqual(expression.Value(now.Add(-hub.LeaseSlack).UnixMilli()))
}

// holds is the condition that a lease is that of the head.
func holds(lease string) expression.ConditionBuilder {
	return within(attrHeadLease, attrID).Equal(expression.Value(lease))
}

// StreamHead is one consistent read.
func (s *Store) StreamHead(ctx context.Context, st hub.Stream) (hub.Head, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.table), Key: key(streamKey(st.Channel), headSort), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return hub.Head{}, fmt.Errorf("read stream of %s: %w", st.Channel, err)
	}
	return decodeHead(st.Channel, out.Item, s.now()), nil
}

// TakeLease is one request.
func (s *Store) TakeLease(ctx context.Context, st hub.Stream, mine hub.Lease) (hub.Head, bool, error) {
	takeable := expression.AttributeNotExists(expression.Name(attrHeadLease))
	if mine.Request != "" {
		takeable = takeable.Or(within(attrHeadLease, attrGranted).Equal(expression.Value(true)).
			And(within(attrHeadLease, attrRequest).Equal(expression.Value(mine.Request))))
	}
	return s.takeLease(ctx, st, mine, 0, live(s.now()).And(takeable))
}

// TakeOver is one request.
func (s *Store) TakeOver(ctx context.Context, st hub.Stream, mine hub.Lease, other string, era uint64) (hub.Head, bool, error) {
	now := s.now()
	return s.takeLease(ctx, st, mine, era, live(now).And(holds(other), over(attrHeadLease, now)))
}

func (s *Store) takeLease(ctx context.Context, st hub.Stream, mine hub.Lease, era uint64, takeable expression.ConditionBuilder) (hub.Head, bool, error) {
	u := expression.Set(expression.Name(attrHeadLease), expression.Value(encodeLease(mine)))
	if mine.Durable {
		u = u.Remove(expression.Name(attrNext))
	}
	if era != 0 {
		u = u.Set(expression.Name(attrEra), expression.Value(whole(era)))
	}
	h, ok, err := s.updateHead(ctx, st, u, takeable)
	if err != nil {
		return hub.Head{}, false, fmt.Errorf("take lease of %s: %w", st.Channel, err)
	}
	// The SDK repeats a request whose response was lost: then the lease is its own.
	return h, ok || h.Lease.ID == mine.ID, nil
}

// TakeTurn is one request.
func (s *Store) TakeTurn(ctx context.Context, st hub.Stream, mine hub.Turn) (hub.Head, bool, error) {
	now := s.now()
	h, ok, err := s.updateHead(ctx, st, expression.Set(expression.Name(attrNext), expression.Value(encodeTurn(mine))), live(now).And(
		within(attrHeadLease, attrDurable).Equal(expression.Value(false)),
		expression.AttributeNotExists(expression.Name(attrNext)).Or(over(attrNext, now), within(attrNext, attrRequest).Equal(expression.Value(mine.Request)))))
	if err != nil {
		return hub.Head{}, false, fmt.Errorf("take turn at the lease of %s: %w", st.Channel, err)
	}
	return h, ok, nil
}

// AnnounceAdmission is one request. Its condition does not compare times, as that of Announce.
func (s *Store) AnnounceAdmission(ctx context.Context, st hub.Stream, a hub.Admission, mine hub.Lease) (hub.Head, bool, error) {
	joins := expression.Name(attrJoins)
	h, ok, err := s.updateHead(ctx, st, expression.Add(expression.Name(attrWake), expression.Value(1)).
		Add(joins, expression.Value(encodeAdmissions([]hub.Admission{a}))).
		Set(expression.Name(attrHeadLease), expression.IfNotExists(expression.Name(attrHeadLease), expression.Value(encodeLease(mine)))),
		expression.Name(attrEpoch).Equal(expression.Value(a.Position.Epoch)).
			And(expression.AttributeNotExists(joins).Or(joins.Size().LessThan(expression.Value(hub.MaxAdmissions)))))
	if err == nil && !ok && h.Epoch == a.Position.Epoch && len(h.Joins) >= hub.MaxAdmissions {
		err = hub.ErrTooManyRequests.With(fmt.Sprintf("%d subscriptions to the channel wait for their admission", len(h.Joins)))
	}
	if err != nil {
		return hub.Head{}, false, fmt.Errorf("announce admission to stream of %s: %w", st.Channel, err)
	}
	return h, ok, nil
}

// record is the update that records progress.
func record(p hub.Progress) expression.UpdateBuilder {
	u := expression.Set(expression.Name(attrDone), expression.Value(whole(p.Done)))
	if len(p.Admitted) > 0 {
		u = u.Delete(expression.Name(attrJoins), expression.Value(encodeAdmissions(p.Admitted)))
	}
	if p.Lost {
		u = u.Set(expression.Name(attrChanged), expression.Value(whole(p.Done+1)))
	}
	if p.Era != 0 {
		u = u.Set(expression.Name(attrEra), expression.Value(whole(p.Era)))
	}
	return u
}

// RenewLease is one request.
func (s *Store) RenewLease(ctx context.Context, st hub.Stream, p hub.Progress, until time.Time) (hub.Head, bool, error) {
	h, ok, err := s.updateHead(ctx, st, record(p).
		Set(within(attrHeadLease, attrEnd), expression.Value(until.UnixMilli())), holds(p.Lease))
	if err != nil {
		return hub.Head{}, false, fmt.Errorf("renew lease of %s: %w", st.Channel, err)
	}
	return h, ok, nil
}

// ReleaseLease is one request.
func (s *Store) ReleaseLease(ctx context.Context, st hub.Stream, p hub.Progress, wake uint64) (hub.Head, bool, error) {
	return s.endLease(ctx, st, p, hub.Lease{}, holds(p.Lease).And(expression.Name(attrWake).Equal(expression.Value(whole(wake)))))
}

// DropLease is one request.
func (s *Store) DropLease(ctx context.Context, st hub.Stream, p hub.Progress, next hub.Turn) (hub.Head, bool, error) {
	var granted hub.Lease
	if next.Request != "" {
		granted = hub.Lease{ID: "for " + p.Lease, Durable: true, Request: next.Request, Granted: true, Until: s.now().Add(hub.GrantTime)}
	}
	return s.endLease(ctx, st, p, granted, holds(p.Lease))
}

// endLease ends a lease and grants another one, unless that is the zero Lease.
func (s *Store) endLease(ctx context.Context, st hub.Stream, p hub.Progress, granted hub.Lease, condition expression.ConditionBuilder) (hub.Head, bool, error) {
	lease, batch := expression.Name(attrHeadLease), expression.Name(attrBatch)
	u := record(p)
	if granted.ID != "" {
		u = u.Set(lease, expression.Value(encodeLease(granted))).Remove(expression.Name(attrNext))
	} else {
		u = u.Remove(lease)
	}
	if p.Batch > 0 {
		u = u.Set(batch, expression.Value(p.Batch))
	} else {
		u = u.Remove(batch)
	}
	h, ok, err := s.updateHead(ctx, st, u, condition)
	if err != nil {
		return hub.Head{}, false, fmt.Errorf("end lease of %s: %w", st.Channel, err)
	}
	// The SDK repeats a request whose response was lost: then the lease has ended, at this
	// offset. Where another one has taken it since, it is as if it had been lost.
	return h, ok || h.Epoch != "" && h.Lease.ID == granted.ID && h.Done == p.Done, nil
}

// updateHead changes the head of a stream and renews its end. It returns the head after it, or
// the head as it is and false where the condition fails.
func (s *Store) updateHead(ctx context.Context, st hub.Stream, u expression.UpdateBuilder, condition expression.ConditionBuilder) (h hub.Head, ok bool, err error) {
	now := s.now()
	u = u.Set(expression.Name(schema.ExpiryAttribute), expression.Value(expiry(st.Retention.StreamExpires(now))))
	i, err := s.update(ctx, key(streamKey(st.Channel), headSort), u, condition)
	if old, failed := conditionFailed(err); failed {
		return decodeHead(st.Channel, old, now), false, nil
	}
	if err != nil {
		return hub.Head{}, false, err
	}
	return decodeHead(st.Channel, i, now), true, nil
}
