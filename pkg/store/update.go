package store

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update updates the item with a key, which it need not have, on a condition, and returns it as it
// is then. It fails as conditionFailed reports, with the item as it was. It is one UpdateItem, and
// one more each time that a transaction is changing the item.
func (s *Store) update(ctx context.Context, where item, u expression.UpdateBuilder, c expression.ConditionBuilder) (item, error) {
	e, err := expression.NewBuilder().WithUpdate(u).WithCondition(c).Build()
	if err != nil {
		return nil, err
	}
	var out *dynamodb.UpdateItemOutput
	err = s.uncontended(ctx, func() (err error) {
		out, err = s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: aws.String(s.table), Key: where,
			UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
			ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
			ReturnValues:                        types.ReturnValueAllNew,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// uncontended repeats a request that was refused because a transaction is changing its
// item, until ctx ends.
func (s *Store) uncontended(ctx context.Context, request func() error) error {
	for attempt := 0; ; attempt++ {
		if err := backOff(ctx, attempt); err != nil {
			return err
		}
		err := request()
		if conflict := new(types.TransactionConflictException); !errors.As(err, &conflict) {
			return err
		}
	}
}
