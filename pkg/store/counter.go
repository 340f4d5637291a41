package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// DefaultCountEvery is how often counts are written.
const DefaultCountEvery = time.Second

// The attributes of the counts of a minute, and of a tally, in addition to their expiry.
const (
	attrMessages   = "messages"
	attrDeliveries = "deliveries"
	attrSum        = "sum"
)

// counts are the counts that have not been written, by project.
type counts struct {
	every time.Duration

	mu      sync.Mutex
	pending map[string]pending
}

type pending struct {
	messages, deliveries int
	written              time.Time // when the last write began
}

// add adds to the pending counts of a project. If a write is due at now, it returns all of
// them and true, and nothing is pending any more.
func (c *counts) add(project string, messages, deliveries int, now time.Time) (pending, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[project]
	p.messages, p.deliveries = p.messages+messages, p.deliveries+deliveries
	if now.Sub(p.written) < c.every {
		c.pending[project] = p
		return pending{}, false
	}
	c.pending[project] = pending{written: now}
	return p, true
}

// Count makes at most one request every CountEvery for a project. Counts in between are
// kept until the project's next Count after that time, and added to its minute. Counts
// that could not be written are kept too. When its process ends, a Store loses the counts
// that it has kept.
func (s *Store) Count(ctx context.Context, project string, at time.Time, messages, deliveries int) error {
	p, due := s.counts.add(project, messages, deliveries, at)
	if !due {
		return nil
	}
	minute := at.Truncate(time.Minute)
	update := expression.Add(expression.Name(attrMessages), expression.Value(p.messages)).
		Add(expression.Name(attrDeliveries), expression.Value(p.deliveries))
	if _, err := s.addTo(ctx, key(countsKey(project), minuteSort(minute)), update, minute.Add(hub.CountRetention)); err != nil {
		s.counts.add(project, p.messages, p.deliveries, time.Time{})
		return fmt.Errorf("count messages of project %q: %w", project, err)
	}
	return nil
}

// addTo updates a counter, which may expire at until, and returns its new attributes.
func (s *Store) addTo(ctx context.Context, key item, update expression.UpdateBuilder, until time.Time) (item, error) {
	e, err := expression.NewBuilder().WithUpdate(
		update.Set(expression.Name(schema.ExpiryAttribute), expression.Value(until.Unix()))).Build()
	if err != nil {
		return nil, err
	}
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(s.table), Key: key, UpdateExpression: e.Update(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(), ReturnValues: types.ReturnValueAllNew,
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// Counted is one request for each megabyte. All 26 hours of a project fit in one.
func (s *Store) Counted(ctx context.Context, project string, since time.Time) ([]hub.Counts, error) {
	e, err := expression.NewBuilder().WithKeyCondition(
		expression.Key(schema.PartitionKey).Equal(expression.Value(countsKey(project))).
			And(expression.Key(schema.SortKey).GreaterThanEqual(expression.Value(minuteSort(since.Truncate(time.Minute)))))).
		WithFilter(live(s.now())).Build()
	if err != nil {
		return nil, fmt.Errorf("read counts of project %q: %w", project, err)
	}
	var counted []hub.Counts
	for page, err := range s.pages(ctx, &dynamodb.QueryInput{
		TableName: aws.String(s.table), KeyConditionExpression: e.KeyCondition(), FilterExpression: e.Filter(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}) {
		if err != nil {
			return nil, fmt.Errorf("read counts of project %q: %w", project, err)
		}
		for _, i := range page {
			c, err := decodeCounts(i)
			if err != nil {
				return nil, fmt.Errorf("read counts of project %q: %w", project, err)
			}
			counted = append(counted, c)
		}
	}
	return counted, nil
}

func decodeCounts(i item) (hub.Counts, error) {
	minute, err := parseMinuteSort(textOf(i, schema.SortKey))
	if err != nil {
		return hub.Counts{}, err
	}
	var v struct {
		Messages   int `dynamodbav:"messages"`
		Deliveries int `dynamodbav:"deliveries"`
	}
	err = attributevalue.UnmarshalMap(i, &v)
	return hub.Counts{Minute: minute, Messages: v.Messages, Deliveries: v.Deliveries}, err
}

// Tally adds by, which may be negative, to the counter of this name and returns the
// sum; by 0 it only reads. DynamoDB deletes the counter within some days after until. It
// is not part of the domain: it counts attempts to sign in, and is the database of the
// example application. One request.
func (s *Store) Tally(ctx context.Context, name string, by int, until time.Time) (int, error) {
	i, err := s.tally(ctx, key(tallyKey(name), singletonSort), by, until)
	if err != nil {
		return 0, fmt.Errorf("count %q: %w", name, err)
	}
	return numberOf(i, attrSum), nil
}

func (s *Store) tally(ctx context.Context, key item, by int, until time.Time) (item, error) {
	if by != 0 {
		return s.addTo(ctx, key, expression.Add(expression.Name(attrSum), expression.Value(by)), until)
	}
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(s.table), Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}
