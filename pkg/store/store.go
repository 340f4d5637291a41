// Package store keeps everything in one DynamoDB table: projects, categories,
// connections, subscriptions, idempotency claims and counters. It implements the interfaces
// through which pkg/hub asks for state.
//
// It validates no input: the hub has done so. It holds only those rules that need a
// condition on a write: a connection's limit of channels, the shards of a category that
// cannot be lowered, an API key that belongs to one project. DynamoDB's errors and keys
// do not leave it. What a method costs in requests is part of its contract, and tests
// hold it.
//
// DynamoDB's time to live removes items days late, so every read filters on expiry.
// Expiry is kept in whole seconds, rounded down: an item may expire up to a second
// early, and never late.
package store

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// API is the part of *dynamodb.Client that the store uses.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// DefaultCacheFor is how long a project that was read counts as current.
const DefaultCacheFor = 5 * time.Second

// Options adjust a Store. The zero value is the default.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// CountEvery is how long Count collects at most before it writes; 0 means
	// DefaultCountEvery, and a negative value that it never collects.
	CountEvery time.Duration
	// CacheFor is how long a project that was read is used again without a request;
	// 0 means DefaultCacheFor, and a negative value never.
	CacheFor time.Duration
}

// Store is the state of Centrifuge. It is safe for concurrent use, and any
// number of Stores may work on one table.
type Store struct {
	db    API
	table string
	now   func() time.Time

	projects *cache[*hub.Project]
	apiKeys  *cache[string] // project ids by hash
	counts   counts
}

var (
	_ hub.Store        = (*Store)(nil)
	_ hub.ProjectStore = (*Store)(nil)
)

// New returns a Store over a table that exists, as package schema describes it.
// It makes no request.
func New(client API, table string, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CacheFor == 0 {
		o.CacheFor = DefaultCacheFor
	}
	if o.CountEvery == 0 {
		o.CountEvery = DefaultCountEvery
	}
	return &Store{
		db: client, table: table, now: o.Now,
		projects: newCache[*hub.Project](o.Now, o.CacheFor),
		apiKeys:  newCache[string](o.Now, o.CacheFor),
		counts:   counts{every: o.CountEvery, pending: make(map[string]pending)},
	}
}

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// textOf is a string attribute of an item, "" where there is none.
func textOf(i item, name string) string {
	if s, ok := i[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

// numberOf is a whole number in an item, 0 where there is none.
func numberOf(i item, name string) int {
	if n, ok := i[name].(*types.AttributeValueMemberN); ok {
		value, _ := strconv.Atoi(n.Value)
		return value
	}
	return 0
}

func key(partition, sort string) item {
	return item{schema.PartitionKey: text(partition), schema.SortKey: text(sort)}
}

// live is true of an item that has not expired at now.
func live(now time.Time) expression.ConditionBuilder {
	return expression.Name(schema.ExpiryAttribute).GreaterThan(expression.Value(now.Unix()))
}

// expired is the opposite, in an item that exists.
func expired(now time.Time) expression.ConditionBuilder {
	return expression.Name(schema.ExpiryAttribute).LessThanEqual(expression.Value(now.Unix()))
}

func exists() expression.ConditionBuilder {
	return expression.AttributeExists(expression.Name(schema.PartitionKey))
}

func absent() expression.ConditionBuilder {
	return expression.AttributeNotExists(expression.Name(schema.PartitionKey))
}

// conditionFailed tells whether a write failed by its condition, and returns the item
// that exists where the request asked for it.
func conditionFailed(err error) (old item, ok bool) {
	var e *types.ConditionalCheckFailedException
	if errors.As(err, &e) {
		return e.Item, true
	}
	return nil, false
}

// pages yields the items of each page of a query, as they are read. After an
// error it yields nothing more.
func (s *Store) pages(ctx context.Context, in *dynamodb.QueryInput) iter.Seq2[[]item, error] {
	return func(yield func([]item, error) bool) {
		for {
			out, err := s.db.Query(ctx, in)
			if err != nil {
				yield(nil, err)
				return
			}
			// A page whose items the filter left out is empty, and need not be the last.
			if len(out.Items) > 0 && !yield(out.Items, nil) || len(out.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
}
