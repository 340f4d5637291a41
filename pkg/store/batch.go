package store

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

const (
	// writeBatch and readBatch are the most items DynamoDB takes in one request.
	writeBatch, readBatch = 25, 100
	// batchesAtOnce bounds the requests that one call has under way.
	batchesAtOnce = 8

	backOffFirst, backOffMost = 20 * time.Millisecond, time.Second
)

func put(i item) types.WriteRequest {
	return types.WriteRequest{PutRequest: &types.PutRequest{Item: i}}
}

func remove(partition, sort string) types.WriteRequest {
	return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key(partition, sort)}}
}

// write carries out requests, each for another item, in batches: what DynamoDB
// leaves undone is sent again until ctx ends, and one batch that fails does not
// keep the others from being written.
func (s *Store) write(ctx context.Context, requests []types.WriteRequest) error {
	var g errgroup.Group
	g.SetLimit(batchesAtOnce)
	for batch := range slices.Chunk(requests, writeBatch) {
		g.Go(func() error {
			for attempt := 0; len(batch) > 0; attempt++ {
				if err := backOff(ctx, attempt); err != nil {
					return err
				}
				out, err := s.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
					RequestItems: map[string][]types.WriteRequest{s.table: batch},
				})
				if err != nil {
					return err
				}
				batch = out.UnprocessedItems[s.table]
			}
			return nil
		})
	}
	return g.Wait()
}

// read returns the items under keys that exist, as the last write left them, in
// no order.
func (s *Store) read(ctx context.Context, keys []item) ([]item, error) {
	var items []item
	for batch := range slices.Chunk(keys, readBatch) {
		for attempt := 0; len(batch) > 0; attempt++ {
			if err := backOff(ctx, attempt); err != nil {
				return nil, err
			}
			out, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: batch, ConsistentRead: aws.Bool(true)}},
			})
			if err != nil {
				return nil, err
			}
			items = append(items, out.Responses[s.table]...)
			batch = out.UnprocessedKeys[s.table].Keys
		}
	}
	return items, nil
}

// backOff waits before an attempt, counted from 0, which has no wait: a random
// time below a bound that doubles, so that those who were refused together do not
// return together.
func backOff(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	bound := min(backOffFirst<<min(attempt-1, 10), backOffMost)
	t := time.NewTimer(rand.N(bound))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
