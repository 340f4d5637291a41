package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// maxBreakerAge is how long a breaker is cached.
const maxBreakerAge = time.Second

// The attributes of a breaker, in addition to its expiry.
const (
	attrFailures = "failures"
	attrUntil    = "until"  // in milliseconds since 1970; absent for none
	attrWriter   = "writer" // which call of ReplaceBreaker wrote the item
)

// Breaker is one request that is not consistent, and none while the value of an earlier
// call is cached.
func (s *Store) Breaker(ctx context.Context, project, address string) (hub.Breaker, error) {
	k := breakerKey(project, address)
	if b, ok := s.breakers.get(k); ok {
		return b, nil
	}
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(s.table), Key: key(k, singletonSort)})
	if err != nil {
		return hub.Breaker{}, fmt.Errorf("read breaker of project %q: %w", project, err)
	}
	b := s.decodeBreaker(out.Item)
	s.breakers.put(k, b, s.now())
	return b, nil
}

// decodeBreaker returns the zero value for no item, and for one that has expired.
func (s *Store) decodeBreaker(i item) hub.Breaker {
	if int64(numberOf(i, schema.ExpiryAttribute)) <= s.now().Unix() {
		return hub.Breaker{}
	}
	b := hub.Breaker{Failures: numberOf(i, attrFailures)}
	if until := numberOf(i, attrUntil); until != 0 {
		b.Until = time.UnixMilli(int64(until))
	}
	return b
}

// ReplaceBreaker is one request.
func (s *Store) ReplaceBreaker(ctx context.Context, project, address string, old, next hub.Breaker) (current hub.Breaker, replaced bool, err error) {
	k := breakerKey(project, address)
	current, replaced, err = s.replaceBreaker(ctx, k, old, next)
	if err != nil {
		s.breakers.drop(k)
		return hub.Breaker{}, false, fmt.Errorf("write breaker of project %q: %w", project, err)
	}
	s.breakers.put(k, current, s.now())
	return current, replaced, nil
}

func (s *Store) replaceBreaker(ctx context.Context, k string, old, next hub.Breaker) (current hub.Breaker, replaced bool, err error) {
	if next == (hub.Breaker{}) {
		_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(s.table), Key: key(k, singletonSort)})
		return next, true, err
	}
	now, writer := s.now(), rand.Text()
	update := expression.Set(expression.Name(attrFailures), expression.Value(next.Failures)).
		Set(expression.Name(attrWriter), expression.Value(writer)).
		Set(expression.Name(schema.ExpiryAttribute), expression.Value(next.Expires(now).Unix()))
	if next.Until.IsZero() {
		update = update.Remove(expression.Name(attrUntil))
	} else {
		update = update.Set(expression.Name(attrUntil), expression.Value(next.Until.UnixMilli()))
	}
	e, err := expression.NewBuilder().WithUpdate(update).WithCondition(isBreaker(old, now)).Build()
	if err != nil {
		return hub.Breaker{}, false, err
	}
	_, err = s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(s.table), Key: key(k, singletonSort),
		UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if stored, ok := conditionFailed(err); ok {
		// The SDK repeats a request whose response was lost: then the writer is this call.
		return s.decodeBreaker(stored), textOf(stored, attrWriter) == writer, nil
	}
	return next, true, err
}

// isBreaker is the condition that the item of a breaker is b, which may have expired.
func isBreaker(b hub.Breaker, now time.Time) expression.ConditionBuilder {
	if b == (hub.Breaker{}) {
		return absent().Or(expired(now))
	}
	until := expression.AttributeNotExists(expression.Name(attrUntil))
	if !b.Until.IsZero() {
		until = expression.Name(attrUntil).Equal(expression.Value(b.Until.UnixMilli()))
	}
	return expression.Name(attrFailures).Equal(expression.Value(b.Failures)).And(until)
}
