package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// scanSegments is the number of parts of the table that are read concurrently.
const scanSegments = 4

// Usage scans the table, whole without a bound: one request for each segment, and one
// more for each megabyte. A connection whose token has expired does not count.
func (s *Store) Usage(ctx context.Context, project string, within hub.Bound) (hub.Usage, error) {
	now := s.now()
	tokenExpires := expression.Name(attrTokenExpires)
	connection := expression.Name(schema.PartitionKey).BeginsWith(connectionKeys).And(
		expression.Name(attrProject).Equal(expression.Value(project)),
		expression.AttributeNotExists(tokenExpires).Or(tokenExpires.GreaterThan(expression.Value(now.Unix()))))
	subscription := expression.Name(schema.PartitionKey).BeginsWith(subscriptionKeys(project))
	e, err := expression.NewBuilder().WithFilter(live(now).And(connection.Or(subscription))).
		WithProjection(expression.NamesList(expression.Name(schema.PartitionKey), expression.Name(schema.UserKey))).Build()
	if err != nil {
		return hub.Usage{}, fmt.Errorf("measure project %q: %w", project, err)
	}
	c := usageSum{usage: hub.Usage{Users: make(map[string]int), Subscribers: make(map[hub.Channel]int)}}
	reading, stop := ctx, context.CancelFunc(func() {})
	if within.Time > 0 {
		reading, stop = context.WithTimeout(ctx, within.Time)
	}
	defer stop()
	g, reading := errgroup.WithContext(reading)
	for segment := range int32(scanSegments) {
		g.Go(func() error {
			in := &dynamodb.ScanInput{
				TableName: aws.String(s.table), Segment: aws.Int32(segment), TotalSegments: aws.Int32(scanSegments),
				FilterExpression: e.Filter(), ProjectionExpression: e.Projection(),
				ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
			}
			for left := (within.Items + scanSegments - 1) / scanSegments; ; {
				if within.Items > 0 {
					in.Limit = aws.Int32(int32(left)) //nolint:gosec // a bound fits
				}
				out, err := s.db.Scan(reading, in)
				if err != nil {
					return err
				}
				if err := c.count(out.Items); err != nil {
					return err
				}
				if len(out.LastEvaluatedKey) == 0 {
					return nil
				}
				if left -= int(out.ScannedCount); within.Items > 0 && left <= 0 {
					c.cut()
					return nil
				}
				in.ExclusiveStartKey = out.LastEvaluatedKey
			}
		})
	}
	err = g.Wait()
	if within.Time > 0 && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		c.cut()
		err = nil
	}
	if err != nil {
		return hub.Usage{}, fmt.Errorf("measure project %q: %w", project, err)
	}
	return c.usage, nil
}

// usageSum adds up the counts of all segments.
type usageSum struct {
	mu    sync.Mutex
	usage hub.Usage
}

// cut marks the counts as partial.
func (c *usageSum) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usage.Partial = true
}

func (c *usageSum) count(items []item) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range items {
		partition := textOf(i, schema.PartitionKey)
		if isConnectionKey(partition) {
			c.usage.Clients++
			if key := textOf(i, schema.UserKey); key != "" {
				_, user, err := parseUserKey(key)
				if err != nil {
					return err
				}
				c.usage.Users[user]++
			}
			continue
		}
		ch, _, err := parseSubscriptionKey(partition)
		if err != nil {
			return err
		}
		c.usage.Subscribers[ch]++
	}
	return nil
}
