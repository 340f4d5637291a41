package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"

	"centrifuge/pkg/config"
)

// The bounds of a request to an AWS service. They leave a function, whose context ends after
// 26 s, the time to answer when a service hangs.
const (
	// attemptTimeout ends one attempt, connecting and reading the answer included. It is
	// many times what an answer takes. In the 2.5 s in which a function settles what it did
	// when its context has ended, an attempt that hangs leaves time for another.
	attemptTimeout = 2 * time.Second
	// requestTimeout ends all attempts.
	requestTimeout = 8 * time.Second
	// attempts is how often a request is made at most that gets no answer, is throttled, or
	// is answered with 5xx.
	attempts = 8
	// backOff and maxBackOff bound the random waits between attempts: up to backOff after
	// the first, then up to twice as much each time. All together are at most 3.6 s: the
	// capacity of a partition is counted by the second.
	backOff    = 50 * time.Millisecond
	maxBackOff = time.Second
	// maxIdle is how long a connection is kept alive without use, by the wall clock, which
	// a freeze of the Lambda does not stop.
	maxIdle = 30 * time.Second
)

// cloud configures the clients of AWS services, whose attempts each end after attempt, and
// requests after all. They share their connections.
func cloud(c config.Config, attempt, all time.Duration) aws.Config {
	return aws.Config{
		Region: c.Region,
		// The SDK's default chain would find the same credentials after it has read files
		// and profiles, and would link its clients of STS and SSO.
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
		HTTPClient:  newClient(attempt),
		APIOptions: []func(*middleware.Stack) error{func(s *middleware.Stack) error {
			return s.Initialize.Add(middleware.InitializeMiddlewareFunc("RequestTimeout", func(
				ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
			) (middleware.InitializeOutput, middleware.Metadata, error) {
				ctx, cancel := context.WithTimeout(ctx, all)
				defer cancel()
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
		}},
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = attempts
				o.Backoff = retry.BackoffDelayerFunc(wait)
			})
		},
	}
}

// wait is the wait before another attempt, after a number of attempts. The SDK's own begins
// at up to two seconds.
func wait(made int, _ error) (time.Duration, error) {
	return rand.N(min(backOff<<max(made-1, 0), maxBackOff)), nil
}

// client makes the requests of one attempt. When one gets no answer in time it closes all
// idle connections: after a freeze the others are as dead as that one, and each would cost an
// attempt.
type client struct{ http.Client }

func newClient(timeout time.Duration) *client {
	// HTTP/1.1 only: with HTTP/2 another attempt would use the connection that hangs.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &client{http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{KeepAlive: maxIdle}).DialContext,
			MaxIdleConns:        100,
			MaxIdleConnsPerHost: 100,
			IdleConnTimeout:     maxIdle,
			Protocols:           protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) Do(r *http.Request) (*http.Response, error) {
	response, err := c.Client.Do(r) //nolint:gosec // the SDK made the request
	var late net.Error
	if errors.As(err, &late) && late.Timeout() && r.Context().Err() == nil {
		c.CloseIdleConnections()
	}
	return response, err
}
