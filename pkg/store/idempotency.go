package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The attributes of a claim, beside its expiry.
const (
	attrHolder  = "holder"  // of a publish under way: which call of Claim
	attrSettled = "settled" // true once the publish was done
)

func claimItem(ch hub.Channel, k string, until time.Time) item {
	i := key(claimKey(ch, k), only)
	i[schema.ExpiryAttribute] = &types.AttributeValueMemberN{Value: strconv.FormatInt(until.Unix(), 10)}
	return i
}

// Claim is one request.
func (s *Store) Claim(ctx context.Context, ch hub.Channel, k string, now time.Time) (bool, error) {
	e, err := expression.NewBuilder().WithCondition(absent().Or(expired(now))).Build()
	if err != nil {
		return false, fmt.Errorf("claim idempotency key: %w", err)
	}
	i, holder := claimItem(ch, k, now.Add(hub.IdempotencyLease)), rand.Text()
	i[attrHolder] = text(holder)
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, ok := refused(err); ok {
		if _, settled := old[attrSettled]; settled {
			return true, nil
		}
		if textOf(old, attrHolder) == holder {
			// The SDK asked twice, since the first answer was lost on its way.
			return false, nil
		}
		return false, hub.ErrConflict
	}
	if err != nil {
		return false, fmt.Errorf("claim idempotency key: %w", err)
	}
	return false, nil
}

// Settle is one request.
func (s *Store) Settle(ctx context.Context, ch hub.Channel, k string, now time.Time) error {
	i := claimItem(ch, k, now.Add(hub.IdempotencyWindow))
	i[attrSettled] = &types.AttributeValueMemberBOOL{Value: true}
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i}); err != nil {
		return fmt.Errorf("settle idempotency key: %w", err)
	}
	return nil
}

// Release is one request. A publish that was settled meanwhile, by another after
// the lease had run out, stays settled.
func (s *Store) Release(ctx context.Context, ch hub.Channel, k string) error {
	e, err := expression.NewBuilder().WithCondition(expression.AttributeNotExists(expression.Name(attrSettled))).Build()
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	_, err = s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(s.table), Key: key(claimKey(ch, k), only),
		ConditionExpression: e.Condition(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	})
	if _, ok := refused(err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	return nil
}
