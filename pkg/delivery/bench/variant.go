package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
)

const (
	sdkName   = "SDK PostToConnection, concurrent"
	oursName  = "ours: Dispatch"
	limitName = "limit: net/http, not signed"

	region     = "eu-west-1"
	connection = "L0SM9cOFvHcCIhw="
)

var (
	message = bytes.Repeat([]byte("x"), messageBytes)
	// A Lambda's session token is about this long, and is signed like all headers.
	provider = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", strings.Repeat("t", 800))
)

// variant is one way to post.
type variant struct {
	name  string
	posts int // in a round, for about a quarter of a second
	build func(url string) (func(ctx context.Context, n int) error, error)
}

var variants = []variant{
	{"SDK PostToConnection, sequential", 1000, func(url string) (func(context.Context, int) error, error) {
		return workers(1, sdk(url)), nil
	}},
	{sdkName, 2000, func(url string) (func(context.Context, int) error, error) {
		return workers(concurrency, sdk(url)), nil
	}},
	{oursName, 6000, ours},
	{limitName, 6000, func(url string) (func(context.Context, int) error, error) {
		return workers(concurrency, plain(url)), nil
	}},
}

// workers makes n posts from a number of goroutines.
func workers(width int, post func(context.Context) error) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		var left atomic.Int64
		left.Store(int64(n))
		group, ctx := errgroup.WithContext(ctx)
		for range width {
			group.Go(func() error {
				for left.Add(-1) >= 0 {
					if err := post(ctx); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	}
}

// sdk is the client of the SDK with a pool for as many connections as the concurrency: with
// the default it would open a new one for most posts.
func sdk(url string) func(context.Context) error {
	client := api.New(api.Options{
		Region:       region,
		BaseEndpoint: aws.String(url),
		Credentials:  aws.NewCredentialsCache(provider),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = concurrency, concurrency
		}),
	})
	return func(ctx context.Context) error {
		_, err := client.PostToConnection(ctx, &api.PostToConnectionInput{ConnectionId: aws.String(connection), Data: message})
		return err
	}
}

// plain posts with the transport of net/http alone: without the cookies and redirects of a
// client and without a time-out.
func plain(url string) func(context.Context) error {
	transport := &http.Transport{
		MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency, IdleConnTimeout: 30 * time.Second,
		DisableCompression: true,
	}
	url += "/@connections/" + strings.ReplaceAll(connection, "=", "%3D")
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
		if err != nil {
			return err
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	}
}

// ours is a whole Dispatch: it reads subscribers, encodes, posts and counts.
func ours(url string) (func(context.Context, int) error, error) {
	poster, err := delivery.NewPoster(delivery.PosterOptions{
		URL: url, Region: region, Credentials: provider, Concurrency: concurrency,
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, n int) error {
		d := delivery.New(delivery.Options{
			Subscribers: channel(n),
			Poster:      poster,
			Encoders: map[hub.Protocol]delivery.Encoder{
				hub.Classic: func(m []hub.Message, _ bool) ([][]byte, error) { return [][]byte{m[0].Data}, nil },
			},
		})
		result, err := d.Dispatch(ctx, hub.Audience{Shards: 1}, []hub.Message{{Data: message}})
		if err == nil && result.Delivered != n {
			err = fmt.Errorf("delivered %d of %d", result.Delivered, n)
		}
		return err
	}, nil
}

// channel has this many subscribers, read in pages.
type channel int

func (c channel) Subscribers(context.Context, hub.Channel, int) iter.Seq2[[]hub.Subscriber, error] {
	return func(yield func([]hub.Subscriber, error) bool) {
		for n := int(c); n > 0; n -= 1000 {
			page := make([]hub.Subscriber, min(n, 1000))
			for i := range page {
				page[i] = hub.Subscriber{Connection: connection, Protocol: hub.Classic}
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}
