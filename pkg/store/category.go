package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// categoryItem is a category as the table holds it, beside its keys.
type categoryItem struct {
	ID              string   `dynamodbav:"id"`
	Bidirectional   bool     `dynamodbav:"bidirectional,omitempty"`
	PublishToAdmins bool     `dynamodbav:"publish_to_admins,omitempty"`
	Private         bool     `dynamodbav:"private,omitempty"`
	Presence        bool     `dynamodbav:"presence,omitempty"`
	JoinLeave       bool     `dynamodbav:"join_leave,omitempty"`
	CleanHTML       bool     `dynamodbav:"clean_html,omitempty"`
	AllowedDomains  []string `dynamodbav:"allowed_domains,omitempty"`
	Hooks           bool     `dynamodbav:"hooks,omitempty"`
	Shards          int      `dynamodbav:"shards"`
	MaxMessageBytes int      `dynamodbav:"max_message_bytes,omitempty"`
	Revision        int      `dynamodbav:"revision"`
}

func decodeCategory(i item) (hub.Category, error) {
	var v categoryItem
	if err := attributevalue.UnmarshalMap(i, &v); err != nil {
		return hub.Category{}, err
	}
	name, err := parseCategorySort(textOf(i, schema.SortKey))
	return hub.Category{ID: v.ID, Name: name, Revision: v.Revision, CategoryOptions: hub.CategoryOptions{
		Bidirectional: v.Bidirectional, PublishToAdmins: v.PublishToAdmins, Private: v.Private,
		Presence: v.Presence, JoinLeave: v.JoinLeave, CleanHTML: v.CleanHTML, AllowedDomains: v.AllowedDomains, Hooks: v.Hooks,
		Shards: v.Shards, MaxMessageBytes: v.MaxMessageBytes,
	}}, err
}

// PutCategory writes a category of a project, replacing the one of the same name.
// It fails with ErrBadRequest where that would lower the number of shards: the
// subscribers in the upper ones would receive nothing more. It fails with ErrConflict
// when the category was written after c was read, or exists where the Revision is 0.
// One request.
func (s *Store) PutCategory(ctx context.Context, project string, c hub.Category) error {
	e, err := expression.NewBuilder().WithCondition(unchanged(c.Revision).And(absent().Or(
		expression.Name("shards").LessThanEqual(expression.Value(c.ShardCount()))))).Build()
	if err != nil {
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	i, err := attributevalue.MarshalMap(categoryItem{
		ID: c.ID, Bidirectional: c.Bidirectional, PublishToAdmins: c.PublishToAdmins, Private: c.Private,
		Presence: c.Presence, JoinLeave: c.JoinLeave, CleanHTML: c.CleanHTML, AllowedDomains: c.AllowedDomains, Hooks: c.Hooks,
		Shards: c.Shards, MaxMessageBytes: c.MaxMessageBytes, Revision: c.Revision + 1,
	})
	if err != nil {
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	i[schema.PartitionKey], i[schema.SortKey] = text(projectKey(project)), text(categorySort(c.Name))
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	s.projects.drop(project)
	if old, ok := conditionFailed(err); ok {
		if present, err := decodeCategory(old); len(old) == 0 || err != nil || present.Revision != c.Revision {
			return hub.ErrConflict.With("the category was changed meanwhile: look at it again")
		}
		return hub.ErrBadRequest.With("shards cannot be lowered: the subscribers in the upper ones would receive nothing more")
	}
	if err != nil {
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	return nil
}

// DeleteCategory removes a category. One that does not exist is no error. Its
// subscriptions remain until they end, and receive nothing. One request.
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
