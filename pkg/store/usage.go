package store

import (
	"cmp"
	"context"
	"errors"
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

// Usage scans the table, whole without a bound: one request for each segment, and one
// more for each megabyte. A connection whose token has expired does not count.
func (s *Store) Usage(ctx context.Context, project string, within hub.Bound, counts hub.Counted) (hub.Usage, error) {
	tokenExpires := expression.Name(attrTokenExpires)
	connection := expression.Name(schema.PartitionKey).BeginsWith(connectionKeys).And(
		expression.Name(attrProject).Equal(expression.Value(project)),
		expression.AttributeNotExists(expression.Name(attrClosing)),
		expression.AttributeNotExists(tokenExpires).Or(tokenExpires.GreaterThan(expression.Value(s.now().Unix()))))
	c := usageSum{admits: counts, usage: hub.Usage{Users: make(map[string]int), Subscribers: make(map[hub.Channel]int)}}
	partial, err := s.scan(ctx, connection.Or(subscriptionsOf(project)), within, c.count)
	if err != nil {
		return hub.Usage{}, fmt.Errorf("measure project %q: %w", project, err)
	}
	c.usage.Partial = partial
	return c.usage, nil
}

// Channels scans the whole table, as Usage does.
func (s *Store) Channels(ctx context.Context, project, after string, limit int, counts hub.Counted) (hub.ChannelPage, error) {
	c := firstChannels{after: after, limit: limit, admits: counts, subscribers: make(map[hub.Channel]int)}
	if _, err := s.scan(ctx, subscriptionsOf(project), hub.Bound{}, c.count); err != nil {
		return hub.ChannelPage{}, fmt.Errorf("list channels of project %q: %w", project, err)
	}
	return c.page(), nil
}

// subscriptionsOf is the condition that an item is a subscription of a project, whose
// connection is not being closed.
func subscriptionsOf(project string) expression.ConditionBuilder {
	return expression.Name(schema.PartitionKey).BeginsWith(subscriptionKeys(project)).
		And(expression.AttributeNotExists(expression.Name(attrSubscriberHidden)))
}

// scan calls count with the items of the table that have not expired and satisfy a
// condition, page by page, one page at a time. Items have their partition key, their user
// key, and what the right of a connection or subscription rests on. It reports whether the
// bound ended the reading.
func (s *Store) scan(ctx context.Context, condition expression.ConditionBuilder, within hub.Bound, count func([]item) error) (partial bool, err error) {
	e, err := expression.NewBuilder().WithFilter(live(s.now()).And(condition)).
		WithProjection(expression.NamesList(
			expression.Name(schema.PartitionKey), expression.Name(schema.UserKey), expression.Name(attrSubscriberBasis),
			expression.Name(attrSecret), expression.Name(attrMD5), expression.Name(attrOrigin), expression.Name(attrAnyOrigin))).Build()
	if err != nil {
		return false, err
	}
	reading, stop := ctx, context.CancelFunc(func() {})
	if within.Time > 0 {
		reading, stop = context.WithTimeout(ctx, within.Time)
	}
	defer stop()
	var mu sync.Mutex // of count and partial
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
				left -= int(out.ScannedCount)
				more := len(out.LastEvaluatedKey) > 0
				cut := more && within.Items > 0 && left <= 0
				mu.Lock()
				err = count(out.Items)
				partial = partial || cut
				mu.Unlock()
				if err != nil || cut || !more {
					return err
				}
				in.ExclusiveStartKey = out.LastEvaluatedKey
			}
		})
	}
	err = g.Wait()
	if within.Time > 0 && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return true, nil
	}
	return partial, err
}

// usageSum adds up the counts of all segments.
type usageSum struct {
	admits hub.Counted
	usage  hub.Usage
}

func (c *usageSum) count(items []item) error {
	for _, i := range items {
		partition := textOf(i, schema.PartitionKey)
		if isConnectionKey(partition) {
			if !c.admits(hub.Channel{}, connectionBasis(i)) {
				continue
			}
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
		if c.admits(ch, decodeBasis(textOf(i, attrSubscriberBasis))) {
			c.usage.Subscribers[ch]++
		}
	}
	if len(c.usage.Users)+len(c.usage.Subscribers) > hub.MaxUsage {
		return hub.ErrLimitExceeded.With(fmt.Sprintf("the project has more than %d users and channels", hub.MaxUsage)).
			WithHelp("list the channels page by page, with channels of the server API")
	}
	return nil
}

// connectionBasis is what the right of a connection rests on.
func connectionBasis(i item) hub.Basis {
	_, md5 := i[attrMD5]
	_, anyOrigin := i[attrAnyOrigin]
	return hub.Connection{Secret: textOf(i, attrSecret), Origin: textOf(i, attrOrigin), MD5: md5, AnyOrigin: anyOrigin}.Basis()
}

// firstChannels counts the subscribers of the first channels after a name. A channel that
// is beyond the first limit+1 of those seen so far stays beyond them, so that its count is
// dropped.
type firstChannels struct {
	after       string
	limit       int
	admits      hub.Counted
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
		if !c.admits(ch, decodeBasis(textOf(i, attrSubscriberBasis))) {
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
