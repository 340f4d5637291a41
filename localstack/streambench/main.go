// Command streambench compares publishing through a stream with publishing direct, on a local
// stack, and checks the targets of streams: what precedes the first post of an uncontended
// publish, its latency, and the frames that a busy channel sends for a message.
//
// DynamoDB is a process of its own. API Gateway, the functions and the clients, which have
// real sockets, share this one: deliveries a second are those of the whole machine. Direct
// and stream alternate, because a shared machine is noisy. It exits with 1 when a target is
// missed or a message is lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"centrifuge/localstack/dynamodb"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
)

// The targets. Those of frames are for the category that lingers.
const (
	maxLatencyRatio = 2.0
	maxFramesAt50   = 0.5
	maxFramesAt500  = 0.1
)

const (
	// subscribers are those of the busy channel.
	subscribers = 100
	// sequences is how many publishes show whether two requests are concurrent.
	sequences = 20
	// limit bounds the whole run.
	limit = 3 * time.Minute
)

// The project and its categories.
const (
	project, secret, apiKey = "bench", "secret", "key"

	direct    = "direct"
	ordered   = "ordered"
	lingering = "lingering"
)

const seed = `{"projects": [{"id": "` + project + `", "name": "bench", "secret": "` + secret + `", "api_keys": ["` + apiKey + `"], "categories": [
	{"name": "` + direct + `"}, {"name": "` + ordered + `", "ordered": true}, {"name": "` + lingering + `", "ordered": true, "linger_ms": 50}
]}]}`

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "too many arguments: streambench takes none")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "streambench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	database, err := dynamodb.Start(ctx, dynamodb.Options{Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Stop()) }()
	sequenced, err := compareSequences(ctx, database.Endpoint())
	if err != nil {
		return fmt.Errorf("requests before a post: %w", err)
	}
	b, err := newBench(ctx, stack.Options{DynamoDBEndpoint: database.Endpoint(), Table: "bench"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	quick, err := b.compareLatency(ctx)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	full, err := b.compareFrames(ctx)
	if err != nil {
		return fmt.Errorf("frames: %w", err)
	}
	if err := b.compareThroughput(ctx); err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	if !sequenced || !quick || !full {
		return errors.New("a target was missed")
	}
	return nil
}

// bench is a stack and a client of its server API.
type bench struct {
	*stack.Stack
	http *http.Client
}

func newBench(ctx context.Context, o stack.Options) (*bench, error) {
	o.Seed, o.Log, o.LogLevel = []byte(seed), os.Stderr, "warn"
	s, err := stack.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return &bench{s, &http.Client{Transport: &http.Transport{MaxIdleConns: maxPublishers, MaxIdleConnsPerHost: maxPublishers}}}, nil
}

// verdict prints whether a target is met.
func verdict(met bool, format string, values ...any) bool {
	outcome := "ok"
	if !met {
		outcome = "MISSED"
	}
	fmt.Printf("  %s: %s\n", fmt.Sprintf(format, values...), outcome)
	return met
}

// compareSequences prints which requests precede the first post of an uncontended publish.
func compareSequences(ctx context.Context, database string) (met bool, err error) {
	o, err := newObserver(database)
	if err != nil {
		return false, err
	}
	defer o.Close()
	b, err := newBench(ctx, stack.Options{
		DynamoDBEndpoint: o.URL, Table: "sequence",
		Gateway: gateway.Options{Faults: func(gateway.Post) gateway.Fault { o.posted(); return gateway.Fault{} }},
	})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	fmt.Println("Requests to DynamoDB before the first post of an uncontended publish; + is concurrent:")
	all := make(map[string][]string)
	overlaps := false // in the stream, which is the last one
	for _, category := range []string{direct, ordered} {
		channel := category + ":sequence"
		a, err := b.subscribe(ctx, channel, 1)
		if err != nil {
			return false, err
		}
		// The first publish of a process reads what the others find cached. Concurrent requests need
		// not overlap each time.
		sent, shown := 0, ""
		for sent < 2 || sent < sequences && category == ordered && !overlaps {
			o.reset()
			if err := b.publish(ctx, channel); err != nil {
				return false, err
			}
			sent++
			all[category], shown = o.beforePost()
			overlaps = sent > 1 && strings.Contains(shown, " + ")
		}
		if err := a.wait(ctx, sent); err != nil {
			return false, err
		}
		a.close()
		fmt.Printf("  %-8s %s\n", category, shown)
	}
	a := verdict(same(all[direct], readSubscribers), "direct reads the subscribers, and nothing else")
	c := verdict(overlaps && same(all[ordered], appendMessage, announce, readSubscribers), "a stream has one append, one conditional write with the read, and nothing else")
	return a && c, nil
}
