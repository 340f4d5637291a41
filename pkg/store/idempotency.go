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
	attrSettled   = "settled"   // true after the publish is done
	attrDelivered = "delivered" // with attrSettled: the number of posts delivered
)

func claimItem(ch hub.Channel, k string, until time.Time) item {
	i := key(claimKey(ch, k), singletonSort)
	i[schema.ExpiryAttribute] = number(int(until.Unix()))
	return i
}

// Claim is one request.
func (s *Store) Claim(ctx context.Context, ch hub.Channel, k string, now time.Time) (*hub.Result, error) {
	e, err := expression.NewBuilder().WithCondition(absent().Or(expired(now))).Build()
	if err != nil {
		return nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	i, holder := claimItem(ch, k, now.Add(hub.IdempotencyLease)), rand.Text()
	i[attrHolder] = text(holder)
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, ok := conditionFailed(err); ok {
		if _, settled := old[attrSettled]; settled {
			return &hub.Result{Delivered: numberOf(old, attrDelivered)}, nil
		}
		if textOf(old, attrHolder) == holder {
			// The SDK repeated the request, because the first response was lost.
			return nil, nil
		}
		return nil, hub.ErrConflict
	}
	if err != nil {
		return nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	return nil, nil
}

// Settle is one request.
func (s *Store) Settle(ctx context.Context, ch hub.Channel, k string, result hub.Result, now time.Time) error {
	i := claimItem(ch, k, now.Add(hub.IdempotencyWindow))
	i[attrSettled] = &types.AttributeValueMemberBOOL{Value: true}
	i[attrDelivered] = number(result.Delivered)
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i}); err != nil {
		return fmt.Errorf("settle idempotency key: %w", err)
	}
	return nil
}

// Release is one request. A claim that another publisher settled, after the lease had
// ended, stays settled.
func (s *Store) Release(ctx context.Context, ch hub.Channel, k string) error {
	e, err := expression.NewBuilder().WithCondition(expression.AttributeNotExists(expression.Name(attrSettled))).Build()
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	_, err = s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(s.table), Key: key(claimKey(ch, k), singletonSort),
		ConditionExpression: e.Condition(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	})
	if _, ok := conditionFailed(err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	return nil
}
