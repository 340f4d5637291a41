package store

import (
	"context"
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

// Usage scans the whole table: one request for each segment, and one more for each
// megabyte. A connection whose token has expired does not count.
func (s *Store) Usage(ctx context.Context, project string) (hub.Usage, error) {
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
	g, ctx := errgroup.WithContext(ctx)
	for segment := range int32(scanSegments) {
		g.Go(func() error {
			in := &dynamodb.ScanInput{
				TableName: aws.String(s.table), Segment: aws.Int32(segment), TotalSegments: aws.Int32(scanSegments),
				FilterExpression: e.Filter(), ProjectionExpression: e.Projection(),
				ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
			}
			for {
				out, err := s.db.Scan(ctx, in)
				if err != nil {
					return err
				}
				if err := c.count(out.Items); err != nil {
					return err
				}
				if len(out.LastEvaluatedKey) == 0 {
					return nil
				}
				in.ExclusiveStartKey = out.LastEvaluatedKey
			}
		})
	}
	if err := g.Wait(); err != nil {
		return hub.Usage{}, fmt.Errorf("measure project %q: %w", project, err)
	}
	return c.usage, nil
}

// usageSum adds up the counts of all segments.
type usageSum struct {
	mu    sync.Mutex
	usage hub.Usage
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
