package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

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
	Incarnation  string `json:"incarnation,omitempty"`
	FormerShards int    `json:"former_shards,omitempty"`
	ShardsRaised int64  `json:"shards_raised,omitempty"` // in seconds since 1970
	Revision     int    `json:"revision"`
}

// The attributes of categories that conditions name.
const (
	attrIncarnation = "incarnation"
	attrShards      = "shards"
)

// incarnationBytes is the length of an incarnation before encoding.
const incarnationBytes = 4

func decodeCategory(i item) (hub.Category, error) {
	var v categoryItem
	if err := decodeItem(i, &v); err != nil {
		return hub.Category{}, err
	}
	name, err := parseCategorySort(textOf(i, schema.SortKey))
	c := hub.Category{
		ID: v.ID, Name: name, Revision: v.Revision, CategoryOptions: v.CategoryOptions,
		Incarnation: v.Incarnation, FormerShards: v.FormerShards,
	}
	if v.ShardsRaised != 0 {
		c.ShardsRaised = time.Unix(v.ShardsRaised, 0)
	}
	return c, err
}

// PutCategory writes a category of a project, replacing the one of the same name. It draws
// the incarnation of a new one; of one that exists it keeps it, and records the number of
// shards before a raise, whatever c has there. It fails with ErrBadRequest where that would
// lower the number of shards, because subscribers in the removed shards would receive
// nothing more. It fails with ErrConflict when the category was written after c was read, or
// exists where the Revision is 0. Where a category of that name was deleted a moment ago it
// first waits until every publisher must have seen that: a publisher that did not would reach
// nobody in the new one. Two requests; three for a new category.
func (s *Store) PutCategory(ctx context.Context, project string, c hub.Category) error {
	if err := s.putCategory(ctx, project, c); err != nil {
		if known := new(hub.Error); errors.As(err, &known) {
			return err
		}
		return fmt.Errorf("write category %q of project %q: %w", c.Name, project, err)
	}
	return nil
}

func (s *Store) putCategory(ctx context.Context, project string, c hub.Category) error {
	defer s.projects.drop(project)
	where := key(projectKey(project), categorySort(c.Name))
	old, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(s.table), Key: where, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return err
	}
	v := categoryItem{ID: c.ID, CategoryOptions: c.CategoryOptions, Revision: c.Revision + 1}
	switch {
	case len(old.Item) == 0 && c.Revision > 0:
		return errCategoryChanged
	case len(old.Item) == 0:
		v.Incarnation = newIncarnation()
		if err := s.awaitDeletion(ctx, project, c.Name); err != nil {
			return err
		}
	default:
		present, err := decodeCategory(old.Item)
		switch {
		case err != nil:
			return err
		case present.Revision != c.Revision:
			return errCategoryChanged
		case c.ShardCount() < present.ShardCount():
			return hub.ErrBadRequest.With("shards cannot be lowered: subscribers in the removed shards would receive nothing more")
		case c.ShardCount() > present.ShardCount():
			v.FormerShards, v.ShardsRaised = present.SubscribeShards(s.now()), s.now().Unix()+1
		case !present.ShardsRaised.IsZero():
			v.FormerShards, v.ShardsRaised = present.FormerShards, present.ShardsRaised.Unix()
		}
		v.Incarnation = present.Incarnation
	}
	i, err := encodeItem(v)
	if err != nil {
		return err
	}
	maps.Copy(i, where)
	// Versions before this one compare it, so 0 is written too.
	i[attrShards] = number(c.Shards)
	condition := absent()
	if len(old.Item) > 0 {
		condition = unchanged(c.Revision).And(sameIncarnation(v.Incarnation))
	}
	e, err := expression.NewBuilder().WithCondition(condition).Build()
	if err != nil {
		return err
	}
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if now, ok := conditionFailed(err); ok {
		if reflect.DeepEqual(now, i) {
			return nil // the SDK repeated the request, because the first response was lost
		}
		return errCategoryChanged
	}
	return err
}

// sameIncarnation is the condition that a category was not deleted and created again.
func sameIncarnation(incarnation string) expression.ConditionBuilder {
	if incarnation == "" {
		return expression.AttributeNotExists(expression.Name(attrIncarnation))
	}
	return expression.Name(attrIncarnation).Equal(expression.Value(incarnation))
}

var errCategoryChanged = hub.ErrConflict.With("the category has changed: load it again")

// newIncarnation draws the incarnation of a category.
func newIncarnation() string {
	var b [incarnationBytes]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

const (
	// attrSeen is when every publisher must have seen that a category was deleted, in
	// milliseconds since 1970.
	attrSeen = "seen"
	// deletionTime is how long a deletion may take, and seenMargin that and by how much clocks
	// may differ.
	deletionTime = 3 * time.Second
	seenMargin   = deletionTime + time.Second
)

// DeleteCategory removes a category. A category that does not exist is no error. Its
// subscriptions stay until their connections change or end, and receive nothing, also when
// a category of the same name is created. It fails where it takes longer than three seconds.
// One request.
func (s *Store) DeleteCategory(ctx context.Context, project, name string) error {
	ctx, cancel := context.WithTimeout(ctx, deletionTime)
	defer cancel()
	seen := s.now().Add(max(s.projects.age, 0) + seenMargin)
	record := key(deletionKey(project, name), singletonSort)
	record[attrSeen], record[schema.ExpiryAttribute] = number(int(seen.UnixMilli())), number(int(seen.Unix())+1)
	err := s.transact(ctx, s.deletion(key(projectKey(project), categorySort(name))),
		types.TransactWriteItem{Put: &types.Put{TableName: aws.String(s.table), Item: record}})
	s.projects.drop(project)
	if err != nil {
		return fmt.Errorf("delete category %q of project %q: %w", name, project, err)
	}
	return nil
}

// awaitDeletion waits until every publisher must have seen that a category was deleted.
func (s *Store) awaitDeletion(ctx context.Context, project, name string) error {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.table), Key: key(deletionKey(project, name), singletonSort), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	wait := time.UnixMilli(int64(numberOf(out.Item, attrSeen))).Sub(s.now())
	if s.projects.age < 0 || wait <= 0 {
		return nil
	}
	return s.wait(ctx, wait)
}
