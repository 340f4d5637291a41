package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
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
	tokenExpires := expression.Name(attrTokenExpires)
	connection := expression.Name(schema.PartitionKey).BeginsWith(connectionKeys).And(
		expression.Name(attrProject).Equal(expression.Value(project)),
		expression.AttributeNotExists(tokenExpires).Or(tokenExpires.GreaterThan(expression.Value(s.now().Unix()))))
	c := usageSum{usage: hub.Usage{Users: make(map[string]int), Subscribers: make(map[hub.Channel]int)}}
	if err := s.scan(ctx, connection.Or(subscriptionsOf(project)), c.count); err != nil {
		return hub.Usage{}, fmt.Errorf("measure project %q: %w", project, err)
	}
	return c.usage, nil
}

// Channels scans the whole table, as Usage does.
func (s *Store) Channels(ctx context.Context, project, after string, limit int, matches func(hub.Channel) bool) (hub.ChannelPage, error) {
	c := firstChannels{after: after, limit: limit, matches: matches, subscribers: make(map[hub.Channel]int)}
	if err := s.scan(ctx, subscriptionsOf(project), c.count); err != nil {
		return hub.ChannelPage{}, fmt.Errorf("list channels of project %q: %w", project, err)
	}
	return c.page(), nil
}

// subscriptionsOf is the condition that an item is a subscription of a project.
func subscriptionsOf(project string) expression.ConditionBuilder {
	return expression.Name(schema.PartitionKey).BeginsWith(subscriptionKeys(project))
}

// scan calls count with the items of the table that have not expired and satisfy a
// condition, page by page, one page at a time. Items have their partition key and their
// user key alone.
func (s *Store) scan(ctx context.Context, condition expression.ConditionBuilder, count func([]item) error) error {
	e, err := expression.NewBuilder().WithFilter(live(s.now()).And(condition)).
		WithProjection(expression.NamesList(expression.Name(schema.PartitionKey), expression.Name(schema.UserKey))).Build()
	if err != nil {
		return err
	}
	var mu sync.Mutex
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
				mu.Lock()
				err = count(out.Items)
				mu.Unlock()
				if err != nil {
					return err
				}
				if len(out.LastEvaluatedKey) == 0 {
					return nil
				}
				in.ExclusiveStartKey = out.LastEvaluatedKey
			}
		})
	}
	return g.Wait()
}

// usageSum adds up the counts of all segments.
type usageSum struct{ usage hub.Usage }

func (c *usageSum) count(items []item) error {
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
	if len(c.usage.Users)+len(c.usage.Subscribers) > hub.MaxUsage {
		return hub.ErrLimitExceeded.With(fmt.Sprintf("the project has more than %d users and channels", hub.MaxUsage)).
			WithHelp("list the channels page by page, with channels of the server API")
	}
	return nil
}

// firstChannels counts the subscribers of the first channels after a name. A channel that
// is beyond the first limit+1 of those seen so far stays beyond them, so that its count is
// dropped.
type firstChannels struct {
	after       string
	limit       int
	matches     func(hub.Channel) bool
	subscribers map[hub.Channel]int
	// last is the greatest name that may be on the page or follow it; "" for no bound.
	last string
}

func (c *firstChannels) count(items []item) error {
	for _, i := range items {
		ch, _, err := parseSubscriptionKey(textOf(i, schema.PartitionKey))
		if err != nil {
			return err
		}
		name := ch.String()
		if name <= c.after || c.last != "" && name > c.last {
			continue
		}
		if _, seen := c.subscribers[ch]; !seen && !c.matches(ch) {
			continue
		}
		c.subscribers[ch]++
		if len(c.subscribers) > 2*(c.limit+1) {
			c.trim(c.limit + 1)
		}
	}
	return nil
}

// trim keeps the first n channels. It returns false where there are no more.
func (c *firstChannels) trim(n int) bool {
	if len(c.subscribers) <= n {
		return false
	}
	sorted := slices.SortedFunc(maps.Keys(c.subscribers), func(a, b hub.Channel) int { return cmp.Compare(a.String(), b.String()) })
	for _, ch := range sorted[n:] {
		delete(c.subscribers, ch)
	}
	c.last = sorted[n-1].String()
	return true
}

func (c *firstChannels) page() hub.ChannelPage {
	more := c.trim(c.limit)
	return hub.ChannelPage{Subscribers: c.subscribers, More: more}
}
