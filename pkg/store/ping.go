package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// attrPingEnds is when the token of a connection that gets pings ends, in seconds since 1970. It is
// short: it is read every time that the ping is sent.
const attrPingEnds = "t"

// PutPing is one request.
func (s *Store) PutPing(ctx context.Context, p hub.Ping, expires time.Time) error {
	i := key(pingKey(p.Slot()), p.Connection)
	i[schema.ExpiryAttribute] = number(int(expires.Unix()))
	if !p.Ends.IsZero() {
		i[attrPingEnds] = number(int(p.Ends.Unix()))
	}
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i}); err != nil {
		return fmt.Errorf("write ping of connection %s: %w", p.Connection, err)
	}
	return nil
}

// Pings is one request for each megabyte, made while the caller iterates.
func (s *Store) Pings(ctx context.Context, slot hub.PingSlot) iter.Seq2[[]hub.Ping, error] {
	return func(yield func([]hub.Ping, error) bool) {
		fail := func(err error) {
			yield(nil, fmt.Errorf("read pings of slot %d of %d minutes: %w", slot.Number, slot.Minutes, err))
		}
		e, err := expression.NewBuilder().WithKeyCondition(expression.Key(schema.PartitionKey).Equal(expression.Value(pingKey(slot)))).
			WithFilter(live(s.now())).
			WithProjection(expression.NamesList(expression.Name(schema.SortKey), expression.Name(attrPingEnds))).Build()
		if err != nil {
			fail(err)
			return
		}
		for items, err := range s.pages(ctx, &dynamodb.QueryInput{
			TableName: aws.String(s.table), KeyConditionExpression: e.KeyCondition(), FilterExpression: e.Filter(),
			ProjectionExpression: e.Projection(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		}) {
			if err != nil {
				fail(err)
				return
			}
			pings := make([]hub.Ping, len(items))
			for n, i := range items {
				pings[n] = hub.Ping{Connection: textOf(i, schema.SortKey), Minutes: slot.Minutes}
				if ends := numberOf(i, attrPingEnds); ends != 0 {
					pings[n].Ends = time.Unix(int64(ends), 0)
				}
			}
			if !yield(pings, nil) {
				return
			}
		}
	}
}

// RemovePings is one request for every 25.
func (s *Store) RemovePings(ctx context.Context, pings []hub.Ping) error {
	requests := make([]types.WriteRequest, len(pings))
	for n, p := range pings {
		requests[n] = removePing(p)
	}
	if err := s.write(ctx, requests); err != nil {
		return fmt.Errorf("remove %d pings: %w", len(pings), err)
	}
	return nil
}

func removePing(p hub.Ping) types.WriteRequest { return remove(pingKey(p.Slot()), p.Connection) }
