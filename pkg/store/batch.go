package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

const (
	// writeBatch and readBatch are the most items that DynamoDB takes in one request.
	writeBatch, readBatch = 25, 100
	// maxConcurrentBatches bounds the concurrent requests of one write.
	maxConcurrentBatches = 8
	// firstBackOff and maxBackOff bound the random waits between attempts: up to
	// firstBackOff after the first attempt, then up to twice as much each time.
	firstBackOff, maxBackOff = 50 * time.Millisecond, time.Second
)

func put(i item) types.WriteRequest {
	return types.WriteRequest{PutRequest: &types.PutRequest{Item: i}}
}

func remove(partition, sort string) types.WriteRequest {
	return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key(partition, sort)}}
}

// write sends requests, each for another item, in batches. It repeats requests that
// DynamoDB did not process, until ctx ends. A batch that fails does not stop the others.
func (s *Store) write(ctx context.Context, requests []types.WriteRequest) error {
	var g errgroup.Group
	g.SetLimit(maxConcurrentBatches)
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

// transact writes items together. It repeats a transaction that meets another one, until ctx
// ends.
func (s *Store) transact(ctx context.Context, items ...types.TransactWriteItem) error {
	for attempt := 0; ; attempt++ {
		if err := backOff(ctx, attempt); err != nil {
			return err
		}
		_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		if !errors.Is(cancelled(err), errContended) {
			return err
		}
	}
}

// deletion is the part of a transaction that removes the item of a key.
func (s *Store) deletion(key item) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String(s.table), Key: key}}
}

// read returns the items of these keys that exist, as the last write left them, in no
// order. It repeats requests that DynamoDB did not process, until ctx ends.
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

// backOff waits before an attempt. Attempt 0 does not wait. The others wait a random time
// below a bound that doubles, so that refused callers do not return at the same time.
func backOff(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	bound := min(firstBackOff<<min(attempt-1, 10), maxBackOff)
	return wait(ctx, rand.N(bound))
}

// wait ends with ctx, and then fails.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
