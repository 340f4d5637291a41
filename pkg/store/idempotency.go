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

// The attributes of a claim, in addition to its expiry.
const (
	attrHolder    = "holder"    // of a publish in progress: which call of Claim
	attrLease     = "lease"     // until when the holder has it, in seconds since 1970
	attrMessage   = "message"   // the id of the message
	attrSettled   = "settled"   // true after the publish is done
	attrDelivered = "delivered" // with attrSettled: the number of posts delivered
)

// Claim is one request; two where the key was used before and has expired.
func (s *Store) Claim(ctx context.Context, ch hub.Channel, k, message string, now time.Time) (hub.Claim, error) {
	holder := rand.Text()
	// A builder shares its operations with what is made from it: each update has its own.
	take := func() expression.UpdateBuilder {
		return expression.Set(expression.Name(attrHolder), expression.Value(holder)).
			Set(expression.Name(attrLease), expression.Value(now.Add(hub.IdempotencyLease).Unix())).
			Set(expression.Name(schema.ExpiryAttribute), expression.Value(now.Add(hub.IdempotencyWindow).Unix()))
	}
	id, lease := expression.Name(attrMessage), expression.Name(attrLease)
	free := absent().Or(
		live(now).And(lease.LessThanEqual(expression.Value(now.Unix())), expression.AttributeNotExists(expression.Name(attrSettled))),
		// The SDK repeated the request, because the first response was lost.
		expression.Name(attrHolder).Equal(expression.Value(holder)))
	i, err := s.take(ctx, ch, k, take().Set(id, expression.IfNotExists(id, expression.Value(message))), free)
	if old, ok := conditionFailed(err); ok {
		if int64(numberOf(old, schema.ExpiryAttribute)) > now.Unix() {
			if _, settled := old[attrSettled]; settled {
				return hub.Claim{Settled: &hub.Result{Delivered: numberOf(old, attrDelivered)}, Message: textOf(old, attrMessage)}, nil
			}
			return hub.Claim{}, hub.ErrConflict
		}
		i, err = s.take(ctx, ch, k, take().Set(id, expression.Value(message)).
			Remove(expression.Name(attrSettled)).Remove(expression.Name(attrDelivered)),
			expired(now).Or(expression.Name(attrHolder).Equal(expression.Value(holder))))
		if _, ok := conditionFailed(err); ok {
			return hub.Claim{}, hub.ErrConflict
		}
	}
	if err != nil {
		return hub.Claim{}, fmt.Errorf("claim idempotency key: %w", err)
	}
	return hub.Claim{Message: textOf(i, attrMessage)}, nil
}

// take updates a claim and returns it.
func (s *Store) take(ctx context.Context, ch hub.Channel, k string, u expression.UpdateBuilder, free expression.ConditionBuilder) (item, error) {
	e, err := expression.NewBuilder().WithUpdate(u).WithCondition(free).Build()
	if err != nil {
		return nil, err
	}
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(s.table), Key: key(claimKey(ch, k), singletonSort),
		UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// Settle is one request.
func (s *Store) Settle(ctx context.Context, ch hub.Channel, k string, claim hub.Claim, now time.Time) error {
	i := key(claimKey(ch, k), singletonSort)
	i[schema.ExpiryAttribute] = number(int(now.Add(hub.IdempotencyWindow).Unix()))
	i[attrSettled] = &types.AttributeValueMemberBOOL{Value: true}
	i[attrMessage] = text(claim.Message)
	i[attrDelivered] = number(claim.Settled.Delivered)
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i}); err != nil {
		return fmt.Errorf("settle idempotency key: %w", err)
	}
	return nil
}

// Release is one request. A claim that another publisher settled, after the lease had
// ended, stays settled.
func (s *Store) Release(ctx context.Context, ch hub.Channel, k string) error {
	_, err := s.take(ctx, ch, k, expression.Set(expression.Name(attrLease), expression.Value(0)),
		exists().And(expression.AttributeNotExists(expression.Name(attrSettled))))
	if _, ok := conditionFailed(err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	return nil
}
