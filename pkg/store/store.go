// Package store keeps everything in one DynamoDB table: projects, categories,
// connections, subscriptions, streams, idempotency claims, counters and the hash of the admin
// password. It implements the interfaces of pkg/hub that keep state.
//
// It does not validate input: the hub does. It enforces only the rules that require a
// condition on a write: that a connection and its subscriptions agree, the number of shards
// of a category, which cannot be lowered, and the one project of an API key. A failed
// condition becomes an error of the hub. Other errors of DynamoDB are returned wrapped.
// The number of requests of each method is part of its contract: TestRequestCounts
// counts them.
//
// DynamoDB deletes expired items days late. Therefore reads of connections,
// subscriptions, claims, counts and streams ignore expired items. Expiry is kept in whole
// seconds, rounded down: an item may expire up to a second early, and never late. That of
// streams and of the claims on them is rounded up, because they promise a time at least.
package store

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// DefaultCacheFor is how long a project is cached.
const DefaultCacheFor = 5 * time.Second

// Options adjust a Store. The zero value is the default.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Wait waits as the clock says, or until ctx ends, and then fails; nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// CountEvery is the longest time that Count collects counts before it writes them; 0
	// means DefaultCountEvery, and a negative value that Count always writes.
	CountEvery time.Duration
	// CacheFor is how long a project, an API key or a breaker is cached; 0 means DefaultCacheFor, and a
	// negative value that none is.
	CacheFor time.Duration
}

// Store is the state of Centrifuge. It is safe for concurrent use, and any
// number of Stores may work on one table.
type Store struct {
	db    API
	table string
	now   func() time.Time
	wait  func(context.Context, time.Duration) error

	projects *cache[*hub.Project]
	apiKeys  *cache[string] // project ids by hash
	breakers *cache[hub.Breaker]
	streams  *cache[guess] // by partition key
	counts   counts
}

var (
	_ hub.Store        = (*Store)(nil)
	_ hub.ProjectStore = (*Store)(nil)
	_ hub.Breakers     = (*Store)(nil)
	_ hub.Streams      = (*Store)(nil)
	_ hub.Leases       = (*Store)(nil)
)

// New returns a Store over a table that exists, as package schema describes it.
// It makes no request.
func New(client API, table string, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.CacheFor == 0 {
		o.CacheFor = DefaultCacheFor
	}
	if o.CountEvery == 0 {
		o.CountEvery = DefaultCountEvery
	}
	return &Store{
		db: client, table: table, now: o.Now, wait: o.Wait,
		projects: newCache[*hub.Project](o.Now, o.CacheFor),
		apiKeys:  newCache[string](o.Now, o.CacheFor),
		breakers: newCache[hub.Breaker](o.Now, min(o.CacheFor, maxBreakerAge)),
		streams:  newCache[guess](o.Now, guessAge),
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

func whole(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

// wholeOf is a whole number in an item that is not negative, 0 where there is none.
func wholeOf(i item, name string) uint64 {
	if n, ok := i[name].(*types.AttributeValueMemberN); ok {
		value, _ := strconv.ParseUint(n.Value, 10, 64)
		return value
	}
	return 0
}

// mapOf is a map in an item, nil where there is none.
func mapOf(i item, name string) item {
	if m, ok := i[name].(*types.AttributeValueMemberM); ok {
		return m.Value
	}
	return nil
}

func key(partition, sort string) item {
	return item{schema.PartitionKey: text(partition), schema.SortKey: text(sort)}
}

// live is the condition that an item exists and has not expired at now.
func live(now time.Time) expression.ConditionBuilder {
	return expression.Name(schema.ExpiryAttribute).GreaterThan(expression.Value(now.Unix()))
}

// expired is the condition that an item exists and has expired at now.
func expired(now time.Time) expression.ConditionBuilder {
	return expression.Name(schema.ExpiryAttribute).LessThanEqual(expression.Value(now.Unix()))
}

func exists() expression.ConditionBuilder {
	return expression.AttributeExists(expression.Name(schema.PartitionKey))
}

func absent() expression.ConditionBuilder {
	return expression.AttributeNotExists(expression.Name(schema.PartitionKey))
}

// conditionFailed reports whether err is the failed condition of a write. It returns the
// existing item if the request asked for it.
func conditionFailed(err error) (old item, ok bool) {
	var e *types.ConditionalCheckFailedException
	if errors.As(err, &e) {
		return e.Item, true
	}
	return nil, false
}

// queryItem reads one item as the last write left it, nil where it does not exist. It is one Query:
// functions that may query need no other right for it.
func (s *Store) queryItem(ctx context.Context, partition, sort string) (item, error) {
	e, err := expression.NewBuilder().WithKeyCondition(expression.KeyEqual(expression.Key(schema.PartitionKey), expression.Value(partition)).
		And(expression.KeyEqual(expression.Key(schema.SortKey), expression.Value(sort)))).Build()
	if err != nil {
		return nil, err
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true), KeyConditionExpression: e.KeyCondition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	})
	if err != nil || len(out.Items) == 0 {
		return nil, err
	}
	return out.Items[0], nil
}

// pages yields the items of each page of a query, as they are read. It ends after an
// error.
func (s *Store) pages(ctx context.Context, in *dynamodb.QueryInput) iter.Seq2[[]item, error] {
	return func(yield func([]item, error) bool) {
		for {
			out, err := s.db.Query(ctx, in)
			if err != nil {
				yield(nil, err)
				return
			}
			// The filter may leave a page empty that is not the last.
			if len(out.Items) > 0 && !yield(out.Items, nil) || len(out.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
}
