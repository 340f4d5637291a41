package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// categoryItem is the item of a category without its keys. An option is an attribute of
// the same name.
type categoryItem struct {
	ID string `json:"id"`
	hub.CategoryOptions
	Revision int `json:"revision"`
}

// attrShards is the attribute of categories that a condition names.
const attrShards = "shards"

func decodeCategory(i item) (hub.Category, error) {
	var v categoryItem
	if err := decodeItem(i, &v); err != nil {
		return hub.Category{}, err
	}
	name, err := parseCategorySort(textOf(i, schema.SortKey))
	return hub.Category{ID: v.ID, Name: name, Revision: v.Revision, CategoryOptions: v.CategoryOptions}, err
}

// PutCategory writes a category of a project, replacing the one of the same name.
// It fails with ErrBadRequest where that would lower the number of shards, because
// subscribers in the removed shards would receive nothing more. It fails with
// ErrConflict when the category was written after c was read, or exists where the
// Revision is 0. One request.
func (s *Store) PutCategory(ctx context.Context, project string, c hub.Category) error {
	e, err := expression.NewBuilder().WithCondition(unchanged(c.Revision).And(absent().Or(
		expression.Name(attrShards).LessThanEqual(expression.Value(c.ShardCount()))))).Build()
	if err != nil {
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	i, err := encodeItem(categoryItem{ID: c.ID, CategoryOptions: c.CategoryOptions, Revision: c.Revision + 1})
	if err != nil {
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	// The condition of the next write compares it, so 0 is written too.
	i[attrShards] = &types.AttributeValueMemberN{Value: strconv.Itoa(c.Shards)}
	i[schema.PartitionKey], i[schema.SortKey] = text(projectKey(project)), text(categorySort(c.Name))
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	s.projects.drop(project)
	if old, ok := conditionFailed(err); ok {
		if present, err := decodeCategory(old); len(old) == 0 || err != nil || present.Revision != c.Revision {
			return hub.ErrConflict.With("the category has changed: load it again")
		}
		return hub.ErrBadRequest.With("shards cannot be lowered: subscribers in the removed shards would receive nothing more")
	}
	if err != nil {
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	return nil
}

// DeleteCategory removes a category. A category that does not exist is no error. Its
// subscriptions stay until they expire, and receive nothing. One request.
func (s *Store) DeleteCategory(ctx context.Context, project, name string) error {
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(s.table), Key: key(projectKey(project), categorySort(name)),
	})
	s.projects.drop(project)
	if err != nil {
		return fmt.Errorf("delete category %q of project %q: %w", name, project, err)
	}
	return nil
}
