package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The attributes of a publication, in addition to its expiry. Their names are short: who
// reads a stream pays for the whole items.
const (
	attrPublicationID     = "m"
	attrPublicationData   = "d"
	attrPublicationTime   = "t" // in milliseconds since 1970
	attrPublicationClient = "c"
	attrPublicationUser   = "u"
	attrPublicationInfo   = "i"
	attrPublicationTags   = "g"
)

// The attributes of a settled claim that name the publication.
const (
	attrClaimEpoch  = "epoch"
	attrClaimOffset = "offset"
	attrClaimNew    = "new" // true where the epoch was drawn for the publication
)

const (
	// guessAge is how long the top of a stream is remembered. It is less than
	// hub.PublicationLife: an offset that was used since is not free yet.
	guessAge = time.Hour
	// maxRefused is how many offsets in a row are tried before the top is read again.
	maxRefused = 4
	// maxSpread bounds the waits between them: to 2^7 ms.
	maxSpread = 7
)

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
	known, fresh := s.streams.get(where)
	fresh = !fresh
	read := func() (err error) {
		known, err = s.readGuess(ctx, st)
		fresh = true
		return err
	}
	if fresh {
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
	if head = decodeHead(i[0], s.now()); head.Epoch == "" || len(i) == 1 {
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

// between is the condition for the publications of an epoch from one offset to another.
func between(st hub.Stream, epoch string, first, last uint64) expression.KeyConditionBuilder {
	return expression.Key(schema.PartitionKey).Equal(expression.Value(streamKey(st.Channel))).And(expression.Key(schema.SortKey).Between(
		expression.Value(publicationSort(hub.Position{Epoch: epoch, Offset: first})), expression.Value(publicationSort(hub.Position{Epoch: epoch, Offset: last}))))
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
		i := key(streamKey(p.stream.Channel), headSort)
		i[attrEpoch], i[attrWake], i[attrDone], i[schema.ExpiryAttribute] = text(p.known.epoch), whole(0), whole(0), ends
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
	i := key(streamKey(st.Channel), headSort)
	i[attrEpoch], i[attrWake], i[attrDone], i[attrHeadLease] = text(epoch), whole(1), whole(0), encodeLease(mine)
	i[schema.ExpiryAttribute] = expiry(st.Retention.StreamExpires(now))
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
		return decodeHead(old, now), textOf(old, attrEpoch) == epoch, nil
	}
	return decodeHead(i, now), true, err
}

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
	limit := q.Limit
	if limit < 0 || limit > hub.MaxHistory {
		limit = hub.MaxHistory
	}
	if st.Retention.Size == 0 || limit == 0 || first > last {
		return nil, top, nil
	}
	publications, err := s.window(ctx, st, between(st, head.Epoch, first, last), limit, q.Reverse)
	return publications, top, err
}

// window reads publications that are not too old, up to a limit. They follow each other
// without a gap: where one is too old, or was deleted because it had expired, those before it
// count as too old, whatever the clocks of their publishers said.
func (s *Store) window(ctx context.Context, st hub.Stream, k expression.KeyConditionBuilder, limit int, reverse bool) (found []hub.Message, err error) {
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
			if bytes += len(m.Data); bytes > hub.MaxHistoryBytes && len(found) > 0 {
				return found, nil
			}
			if found = append(found, m); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

func (s *Store) publicationQuery(k expression.KeyConditionBuilder, limit int, reverse bool) (*dynamodb.QueryInput, error) {
	e, err := expression.NewBuilder().WithKeyCondition(k).Build()
	if err != nil {
		return nil, err
	}
	return &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!reverse),
		Limit: aws.Int32(int32(limit)), KeyConditionExpression: e.KeyCondition(), //nolint:gosec // a limit fits
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}, nil
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

// Publications is one Query for each megabyte.
func (s *Store) Publications(ctx context.Context, st hub.Stream, epoch string, after uint64, limit int) ([]hub.Message, error) {
	if limit <= 0 || after == math.MaxUint64 {
		return nil, nil
	}
	found, err := s.publications(ctx, st, epoch, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read publications of %s: %w", st.Channel, err)
	}
	return found, nil
}

func (s *Store) publications(ctx context.Context, st hub.Stream, epoch string, after uint64, limit int) (found []hub.Message, err error) {
	in, err := s.publicationQuery(between(st, epoch, after+1, math.MaxUint64), limit, false)
	if err != nil {
		return nil, err
	}
	for page, err := range s.pages(ctx, in) {
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			m, err := decodePublication(st, i)
			if err != nil {
				return nil, err
			}
			if found = append(found, m); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

// encodePublication makes the item of a message at its position. The JSON values are UTF-8:
// the hub refuses others.
func encodePublication(st hub.Stream, m hub.Message, now time.Time) item {
	i := key(streamKey(st.Channel), publicationSort(m.Position))
	i[schema.ExpiryAttribute] = expiry(st.Retention.PublicationExpires(now))
	i[attrPublicationID], i[attrPublicationTime] = text(m.ID), number(int(m.Time.UnixMilli()))
	for name, value := range map[string]string{
		attrPublicationData: string(m.Data), attrPublicationClient: m.Client.Connection, attrPublicationUser: m.Client.User, attrPublicationInfo: string(m.Client.Info),
	} {
		if value != "" {
			i[name] = text(value)
		}
	}
	if len(m.Tags) > 0 {
		tags := make(item, len(m.Tags))
		for name, value := range m.Tags {
			tags[name] = text(value)
		}
		i[attrPublicationTags] = &types.AttributeValueMemberM{Value: tags}
	}
	return i
}

// decodePublication is the reverse of encodePublication. The names come from the stream.
func decodePublication(st hub.Stream, i item) (hub.Message, error) {
	at, err := parsePublicationSort(textOf(i, schema.SortKey))
	if err != nil {
		return hub.Message{}, err
	}
	m := hub.Message{
		ID: textOf(i, attrPublicationID), Channel: st.Channel, ProjectName: st.ProjectName, CategoryID: st.CategoryID,
		Client:   hub.Client{Connection: textOf(i, attrPublicationClient), User: textOf(i, attrPublicationUser)},
		Position: at, Time: time.UnixMilli(int64(numberOf(i, attrPublicationTime))).UTC(),
	}
	if data := textOf(i, attrPublicationData); data != "" {
		m.Data = json.RawMessage(data)
	}
	if info := textOf(i, attrPublicationInfo); info != "" {
		m.Client.Info = json.RawMessage(info)
	}
	if tags := mapOf(i, attrPublicationTags); len(tags) > 0 {
		m.Tags = make(map[string]string, len(tags))
		for name := range tags {
			m.Tags[name] = textOf(tags, name)
		}
	}
	return m, nil
}
