// Package app is the composition root: the one place where the interfaces of the hub
// meet their implementations. Every function starts from it. It decides nothing.
//
// Parts that only some functions need, and that would cost the others time at every
// cold start, are built by packages below it: publisher for functions that publish,
// console for the admin pages.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/config"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/eventbus"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/metrics"
	"centrifuge/pkg/protocol/centrifugo"
	"centrifuge/pkg/protocol/classic"
	"centrifuge/pkg/store"
)

// Main builds a part of the application from the environment of this process and serves
// invocations with the handler for it, which has one of the forms that lambda.Start
// takes. Work that the hub leaves for later is done when the response was sent, and before
// the next invocation. Main does not return. A process that cannot start logs the reason
// and exits with status 1.
func Main[T any](build func(getenv func(string) string, log io.Writer) (T, error), handler func(T) any) {
	part, err := build(os.Getenv, os.Stderr)
	if err != nil {
		slog.Error("start failed", "error", err)
		os.Exit(1)
	}
	lambda.Start(answerFirst(lambda.NewHandler(handler(part))))
}

// Base is the part of the application that needs no hub.
type Base struct {
	Config config.Config
	Log    *slog.Logger
	Store  *store.Store
	// Cloud configures clients of AWS services.
	Cloud aws.Config
	// SDK is the content of Config.SDK, nil where no path is set.
	SDK []byte

	logWriter io.Writer
}

// Load builds the Base that getenv, which has the contract of os.Getenv, describes. It
// logs to w as JSON lines. It calls no service. It fails when the SDK cannot be read.
func Load(getenv func(string) string, w io.Writer) (*Base, error) {
	c, err := config.Load(getenv)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var sdk []byte
	if c.SDK != "" {
		if sdk, err = os.ReadFile(c.SDK); err != nil {
			return nil, fmt.Errorf("read %s: %w", config.SDK, err)
		}
	}
	cloud := cloud(c, attemptTimeout, requestTimeout)
	db := dynamodb.NewFromConfig(cloud, func(o *dynamodb.Options) {
		if c.DynamoDBEndpoint != "" {
			o.BaseEndpoint = &c.DynamoDBEndpoint
		}
	})
	return &Base{
		Config: c, Cloud: cloud, Store: store.New(db, c.Table, store.Options{}), logWriter: w,
		Log: NewLog(w, c.LogLevel), SDK: sdk,
	}, nil
}

// HubOptions are the parts of a hub. It fails without the address of the management
// API, which every hub needs. Without the name of a bus there are no event hooks.
func (b *Base) HubOptions() (hub.Options, error) {
	d, err := b.dispatcher()
	if err != nil {
		return hub.Options{}, err
	}
	hooks, err := b.hooks()
	return hub.Options{
		Store: b.Store, Dispatcher: d, Hooks: hooks, VerifyToken: auth.VerifyToken, DefaultProject: b.Config.DefaultProject, Pings: b.Config.PingFunction != "", Log: b.Log,
		Tokens:   auth.NewVerifier(auth.VerifierOptions{Fetch: callback.Fetcher(b.Config.InsecureCallbacks), Log: b.Log}),
		Proxies:  callback.NewProxy(callback.ProxyOptions{Insecure: b.Config.InsecureCallbacks, Breakers: b.Store, Log: b.Log}),
		Callback: callback.New(callback.Options{Insecure: b.Config.InsecureCallbacks, Breakers: b.Store, Log: b.Log}),
	}, err
}

func (b *Base) hooks() (hub.Hooks, error) {
	if b.Config.EventBus == "" {
		return nil, nil //nolint:nilnil // there are no hooks without a bus
	}
	return eventbus.New(eventbus.Options{
		Bus: b.Config.EventBus, Region: b.Cloud.Region, Credentials: b.Cloud.Credentials, Endpoint: b.Config.EventBridgeEndpoint,
		HTTP: b.Cloud.HTTPClient, Encode: classic.Push, Log: b.Log,
	})
}

func (b *Base) dispatcher() (hub.Dispatcher, error) {
	if b.Config.ManagementURL == "" {
		return nil, errors.New(config.ManagementURL + " is not set")
	}
	poster, err := delivery.NewPoster(delivery.PosterOptions{
		URL: b.Config.ManagementURL, Region: b.Cloud.Region, Credentials: b.Cloud.Credentials, Concurrency: b.Config.Concurrency,
	})
	if err != nil {
		return nil, err
	}
	d := delivery.New(delivery.Options{
		Subscribers: b.Store, Poster: poster, Log: b.Log,
		Encoders: map[hub.Protocol]delivery.Encoder{hub.Classic: classic.Pushes, hub.Centrifugo: centrifugo.Pushes},
		Notices:  map[hub.Protocol]delivery.NoticeEncoder{hub.Centrifugo: centrifugo.Notice},
	})
	if b.Config.MetricsNamespace == "" {
		return d, nil
	}
	return metrics.Watch(d, b.Config.MetricsNamespace, b.logWriter, time.Now), nil
}

// Notifier returns what posts messages to the webhooks of their projects.
func (b *Base) Notifier() *callback.Notifier {
	return callback.NewNotifier(callback.NotifierOptions{Insecure: b.Config.InsecureCallbacks, Breakers: b.Store, Log: b.Log})
}

// Count is the example application's database: it adds to the number of this name and
// returns the sum. A number expires a month after the last addition.
func (b *Base) Count(ctx context.Context, name string, by int) (int, error) {
	return b.Store.Tally(ctx, "demo/"+name, by, time.Now().AddDate(0, 1, 0))
}

// Secret returns a function that reads the secret of a project. It is for the example
// application; other applications have the secret in their own configuration.
func (b *Base) Secret(project string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		p, err := b.Store.Project(ctx, project)
		if err != nil {
			return "", err
		}
		return p.Secret, nil
	}
}

// App is the application of functions that publish nothing.
type App struct {
	*Base
	Hub *hub.Hub
}

// New builds an App, as Load does its Base.
func New(getenv func(string) string, w io.Writer) (*App, error) {
	b, err := Load(getenv, w)
	if err != nil {
		return nil, err
	}
	o, err := b.HubOptions()
	if err != nil {
		return nil, err
	}
	h, err := hub.New(o)
	if err != nil {
		return nil, err
	}
	return &App{b, h}, nil
}
