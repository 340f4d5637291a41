package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The attributes of a settled claim that name the publication.
const (
	attrClaimEpoch  = "epoch"
	attrClaimOffset = "offset"
	attrClaimNew    = "new" // true where the epoch was drawn for the publication
)

const (
	// maxRefused is how many offsets in a row are tried before the top is read again.
	maxRefused = 4
	// maxSpread bounds the waits between them: to 2^7 ms.
	maxSpread = 7
)

// Why an append is tried again.
var (
	errTaken = errors.New("the offset is taken")
	errStale = errors.New("what was known about the stream is not true any more")
)

// Append is one PutItem, or one TransactWriteItems with a key or a version. It is one Query
// more where the top of the stream is not known.
func (s *Store) Append(ctx context.Context, st hub.Stream, m hub.Message, o hub.AppendOptions) (hub.Appended, error) {
	a, err := s.append(ctx, st, m, o, hub.Position{})
	if err != nil {
		return hub.Appended{}, fmt.Errorf("append to stream of %s: %w", st.Channel, err)
	}
	return a, nil
}

// append appends a message; from is where an earlier call has appended it, in an epoch that
// is over, or the zero Position.
func (s *Store) append(ctx context.Context, st hub.Stream, m hub.Message, o hub.AppendOptions, from hub.Position) (hub.Appended, error) {
	where := streamKey(st.Channel)
	m.Channel, m.ProjectName, m.CategoryID = st.Channel, st.ProjectName, st.CategoryID
	p := &appending{stream: st, message: m, options: o, from: from}
	known, remembered := s.streams.get(where)
	fresh := false
	read := func() (err error) {
		known, err = s.readGuess(ctx, st)
		fresh = true
		return err
	}
	if !remembered {
		if err := read(); err != nil {
			return hub.Appended{}, err
		}
	}
	for refused, contended := 0, 0; ; {
		if known.ahead() && !fresh {
			if err := read(); err != nil {
				return hub.Appended{}, err
			}
		}
		if known.ahead() {
			return hub.Appended{}, hub.ErrTooManyRequests.With(fmt.Sprintf("%d messages of the channel wait for their dispatch", known.last-known.done)).
				WithHelp("publish slower, and repeat after a moment")
		}
		a, err := s.try(ctx, p, known)
		switch {
		case err == nil:
			if !a.New && !a.Skipped && !a.Repeated && a.Direct == nil {
				s.remember(where, guess{epoch: a.Message.Position.Epoch, last: a.Message.Position.Offset, done: known.done})
			}
			return a, nil
		case errors.Is(err, errTaken):
			known.last++
			if newer, ok := s.streams.get(where); ok && newer.epoch == known.epoch {
				known.last, known.done = max(known.last, newer.last), max(known.done, newer.done)
			}
			fresh = false
			refused++
			if err = spread(ctx, refused); err == nil && refused%maxRefused == 0 {
				err = read()
			}
		case errors.Is(err, errStale):
			err = read()
		case errors.Is(err, errContended):
			contended++
			err = backOff(ctx, contended)
		}
		if err != nil {
			return hub.Appended{}, err
		}
	}
}

// spread waits for a random time after an append has lost so many races in a row. Publishers that
// try again at the same time all lose but one, and pay for it: 32 of them made 12 puts for each
// message, and make 2 with these waits.
func spread(ctx context.Context, races int) error {
	if races == 1 {
		return nil // a process that has not published for a while is behind, and has no rival
	}
	return wait(ctx, rand.N(time.Millisecond<<min(races, maxSpread)))
}

// appending is one append in progress.
type appending struct {
	stream  hub.Stream
	message hub.Message
	options hub.AppendOptions
	from    hub.Position

	known guess
	now   time.Time
}

// try appends at the next offset of what is known, in one request.
func (s *Store) try(ctx context.Context, p *appending, known guess) (hub.Appended, error) {
	p.known, p.now = known, s.now()
	p.message.Position = hub.Position{Epoch: known.epoch, Offset: known.last + 1}
	p.message.Time = p.now.Truncate(time.Millisecond).UTC()
	if p.options.IdempotencyKey == "" && p.options.Version == 0 {
		return s.tryPut(ctx, p)
	}
	return s.tryTransaction(ctx, p)
}

// begins reports whether the stream exists only when the publication is announced. A
// transaction with a version creates the head.
func (p *appending) begins() bool { return p.known.drawn && p.options.Version == 0 }

// appended is the result where p was carried out.
func (p *appending) appended() hub.Appended {
	return hub.Appended{
		Message: p.message, Pending: true, New: p.begins(), Options: p.options,
		// What is known was written before the last dispatch of this process ended.
		Quiet: p.known.last <= p.known.done+1,
	}
}

// own reports whether a publication is that of p: the SDK repeats a request whose response was
// lost.
func (p *appending) own(i item) bool { return textOf(i, attrPublicationID) == p.message.ID }

func (s *Store) tryPut(ctx context.Context, p *appending) (hub.Appended, error) {
	e, err := expression.NewBuilder().WithCondition(absent()).Build()
	if err != nil {
		return hub.Appended{}, err
	}
	err = s.uncontended(ctx, func() error {
		_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: aws.String(s.table), Item: encodePublication(p.stream, p.message, p.now),
			ConditionExpression: e.Condition(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if old, failed := conditionFailed(err); failed {
		if !p.own(old) {
			return hub.Appended{}, errTaken
		}
		err = nil
	}
	return p.appended(), err
}

// tryTransaction appends together with the claim of the key, and with the head that remembers
// the version.
func (s *Store) tryTransaction(ctx context.Context, p *appending) (hub.Appended, error) {
	publication, err := s.putIf(encodePublication(p.stream, p.message, p.now), absent())
	if err != nil {
		return hub.Appended{}, err
	}
	items := []types.TransactWriteItem{publication}
	claim, head := -1, -1 // where they are among the items
	if p.options.IdempotencyKey != "" {
		claim = len(items)
		i, err := s.putIf(p.encodeClaim(), p.claimable())
		if err != nil {
			return hub.Appended{}, err
		}
		items = append(items, i)
	}
	if p.options.Version > 0 {
		head = len(items)
		i, err := s.recordVersion(p)
		if err != nil {
			return hub.Appended{}, err
		}
		items = append(items, i)
	}
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	canceled := new(types.TransactionCanceledException)
	if !errors.As(err, &canceled) {
		return p.appended(), err
	}
	failed := func(n int) (old item, failed bool) {
		if n < 0 || n >= len(canceled.CancellationReasons) || aws.ToString(canceled.CancellationReasons[n].Code) != "ConditionalCheckFailed" {
			return nil, false
		}
		return canceled.CancellationReasons[n].Item, true
	}
	taken, isTaken := failed(0)
	if isTaken && p.own(taken) {
		return p.appended(), nil
	}
	if old, is := failed(claim); is {
		return p.claimed(old)
	}
	if _, is := failed(head); is {
		return s.versioned(ctx, p)
	}
	if isTaken {
		return hub.Appended{}, errTaken
	}
	return hub.Appended{}, cancelled(err)
}

// putIf is a conditional put in a transaction.
func (s *Store) putIf(i item, condition expression.ConditionBuilder) (types.TransactWriteItem, error) {
	e, err := expression.NewBuilder().WithCondition(condition).Build()
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	return types.TransactWriteItem{Put: &types.Put{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}, nil
}

// encodeClaim makes the settled claim of the key. A direct publish under it finds that it was
// delivered to none, as its result does not count what is dispatched later.
func (p *appending) encodeClaim() item {
	i := key(claimKey(p.stream.Channel, p.options.IdempotencyKey), singletonSort)
	i[schema.ExpiryAttribute] = expiry(p.now.Add(hub.IdempotencyWindow))
	i[attrSettled] = &types.AttributeValueMemberBOOL{Value: true}
	i[attrMessage] = text(p.message.ID)
	i[attrDelivered] = number(0)
	i[attrClaimEpoch], i[attrClaimOffset] = text(p.message.Position.Epoch), whole(p.message.Position.Offset)
	if p.begins() {
		// Until the first announcement nobody knows whether the epoch is over: a repeat must not
		// take it for one that is.
		i[attrClaimNew] = &types.AttributeValueMemberBOOL{Value: true}
	}
	return i
}

// claimable is the condition that the key is free, or names the publication that is moved.
func (p *appending) claimable() expression.ConditionBuilder {
	id := expression.Name(attrMessage)
	unclaimed := absent().Or(expired(p.now))
	if p.from.Epoch != "" {
		return unclaimed.Or(expression.Name(attrClaimEpoch).Equal(expression.Value(p.from.Epoch)).And(
			expression.Name(attrClaimOffset).Equal(expression.Value(whole(p.from.Offset)))))
	}
	// A direct publish that was released, or whose publisher has died, leaves its id.
	return unclaimed.Or(expression.AttributeNotExists(expression.Name(attrSettled)).And(
		expression.Name(attrLease).LessThanEqual(expression.Value(p.now.Unix())),
		expression.AttributeNotExists(id).Or(id.Equal(expression.Value(p.message.ID)))))
}

// claimed is what follows from a claim that is not claimable.
func (p *appending) claimed(old item) (hub.Appended, error) {
	_, settled := old[attrSettled]
	_, leased := old[attrLease]
	at := hub.Position{Epoch: textOf(old, attrClaimEpoch), Offset: wholeOf(old, attrClaimOffset)}
	id := textOf(old, attrMessage)
	switch {
	case settled && at.Epoch != "":
		m := p.message
		m.ID, m.Position, m.Time = id, at, time.Time{}
		_, begins := old[attrClaimNew]
		return hub.Appended{Message: m, Pending: true, Repeated: true, New: begins, Options: p.options}, nil
	case settled:
		m := p.message
		m.ID, m.Position, m.Time = id, hub.Position{}, time.Time{}
		return hub.Appended{Message: m, Repeated: true, Direct: &hub.Result{Delivered: numberOf(old, attrDelivered)}, Options: p.options}, nil
	case !leased || int64(numberOf(old, attrLease)) > p.now.Unix():
		return hub.Appended{}, hub.ErrConflict
	}
	p.message.ID = id
	return hub.Appended{}, errContended
}

// recordVersion records the version in the head, where it is greater than the one there.
func (s *Store) recordVersion(p *appending) (types.TransactWriteItem, error) {
	ends := expiry(p.stream.Retention.StreamExpires(p.now))
	if p.known.drawn {
		i := newHead(p.stream, p.known.epoch, p.now)
		i[attrVersion], i[attrVersionEpoch] = whole(p.options.Version), text(p.options.VersionEpoch)
		return s.putIf(i, absent().Or(expired(p.now)))
	}
	version, epoch := expression.Name(attrVersion), expression.Name(attrVersionEpoch)
	greater := expression.AttributeNotExists(version).Or(version.LessThan(expression.Value(whole(p.options.Version))))
	if p.options.VersionEpoch != "" {
		greater = greater.Or(epoch.NotEqual(expression.Value(p.options.VersionEpoch)))
	}
	e, err := expression.NewBuilder().WithCondition(expression.Name(attrEpoch).Equal(expression.Value(p.known.epoch)).And(greater)).
		WithUpdate(expression.Set(version, expression.Value(whole(p.options.Version))).
			Set(epoch, expression.Value(p.options.VersionEpoch)).
			Set(expression.Name(schema.ExpiryAttribute), expression.Value(ends))).Build()
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	return types.TransactWriteItem{Update: &types.Update{
		TableName: aws.String(s.table), Key: key(streamKey(p.stream.Channel), headSort),
		UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}, nil
}

// versioned is what follows from a head that refused a version: another epoch has begun, or the
// version is not greater.
func (s *Store) versioned(ctx context.Context, p *appending) (hub.Appended, error) {
	head, last, err := s.readTop(ctx, p.stream)
	if err != nil {
		return hub.Appended{}, err
	}
	if head.Epoch != p.known.epoch {
		return hub.Appended{}, errStale
	}
	m := p.message
	m.Position, m.Time = hub.Position{Epoch: head.Epoch, Offset: last}, time.Time{}
	return hub.Appended{Message: m, Pending: last > head.Done, Skipped: true, Options: p.options}, nil
}
