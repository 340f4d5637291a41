package soak_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/schema"
	"centrifuge/pkg/store/storetest"
)

var (
	duration   = flag.Duration("soak", 10*time.Second, "how long rounds are started")
	seed       = flag.Uint64("seed", 0, "the seed of all rounds; 0 draws one")
	concurrent = flag.Int("stacks", 4, "how many rounds are played concurrently, each on a stack of its own")
	only       = flag.Int("round", 0, "the one round to repeat until -soak is over; 0 runs all")
)

const (
	// A request to the database takes this long, and what it takes itself.
	minDelay, maxDelay = 3 * time.Millisecond, 15 * time.Millisecond
	// jitter is how long a frame and a post are delayed at most.
	jitter = 5 * time.Millisecond
	// hang is how long anything may take. API Gateway answers for a function after 29 s.
	hang = time.Minute
)

// TestSoak plays rounds on several stacks until the time is over or a round has failed.
func TestSoak(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	var rigs []*rig
	for range *concurrent {
		rigs = append(rigs, start(t))
	}
	var rounds atomic.Int64
	end := time.Now().Add(*duration)
	var stacks sync.WaitGroup
	for _, g := range rigs {
		stacks.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				n := int(rounds.Add(1))
				if *only != 0 {
					n = *only
				}
				g.round(t, n)
			}
		})
	}
	stacks.Wait()
	t.Logf("%d rounds", rounds.Load())
}

// rig is a stack on a slow database.
type rig struct {
	*stack.Stack
	table string
	// fast is the database without the delay.
	fast *dynamodb.Client
	// other is the store of another function: what it writes stays unseen in the cache of
	// the stack.
	other *store.Store
	log   *serviceLog
}

func start(t *testing.T) *rig {
	t.Helper()
	endpoint, table := storetest.Table(t)
	delayed := slow(t, endpoint)
	g := &rig{table: table, log: newServiceLog(), fast: client(endpoint), other: store.New(client(delayed), table, store.Options{})}
	g.Stack = stacktest.Start(t, stack.Options{
		DynamoDBEndpoint: delayed, Table: table, Seed: []byte(seedFile),
		Gateway: gateway.Options{Jitter: jitter, LoseDisconnect: g.log.lose}, Log: g.log, Traffic: true, LogLevel: "info",
	})
	return g
}

// client has the credentials of the stack: DynamoDB Local has a table for each.
func client(endpoint string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// slow starts a proxy of a database that delays every request, and returns its address.
func slow(t *testing.T, endpoint string) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(*seed, 0)) //nolint:gosec // a repeatable delay
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		delay := minDelay + time.Duration(random.Int64N(int64(maxDelay-minDelay)))
		mu.Unlock()
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// remains are the connections and subscriptions in the table, hidden ones included. Of a
// connection whose $disconnect was lost, only time removes the connection itself and its
// subscriptions in former incarnations of categories: these are not listed.
func (g *rig) remains(ctx context.Context) ([]string, error) {
	p, err := g.App.Store.ReadProject(ctx, project)
	if err != nil {
		return nil, err
	}
	var keys []string
	pages := dynamodb.NewScanPaginator(g.fast, &dynamodb.ScanInput{TableName: &g.table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			partition, _ := item[schema.PartitionKey].(*types.AttributeValueMemberS)
			sort, _ := item[schema.SortKey].(*types.AttributeValueMemberS)
			id, connection := strings.CutPrefix(partition.Value, "N#")
			_, subscription := strings.CutPrefix(partition.Value, "S#")
			lost := connection && g.log.isLost(id) || subscription && g.log.isLost(sort.Value) && !present(p, partition.Value)
			if (connection || subscription) && !lost {
				keys = append(keys, partition.Value+" "+sort.Value)
			}
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// present reports whether the partition of a subscription is that of a channel in the
// present incarnation of its category.
func present(p *hub.Project, partition string) bool {
	for name, c := range p.Categories {
		if strings.HasPrefix(partition, "S#"+project+"#"+name+":"+c.Incarnation+"#") {
			return true
		}
	}
	return false
}
