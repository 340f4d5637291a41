// Package app is the composition root: the one place where the interfaces of the
// hub meet what implements them. Every function starts from it, and it decides
// nothing.
//
// What only some functions need, and would cost the others time at every cold start,
// lies in packages of its own below.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/config"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/metrics"
	"centrifuge/pkg/protocol/classic"
	"centrifuge/pkg/serverapi"
	"centrifuge/pkg/store"
)

// App is an assembled Centrifuge.
type App struct {
	Config config.Config
	Log    *slog.Logger
	Hub    *hub.Hub
	Store  *store.Store
	// Cloud is what clients of AWS services are made with.
	Cloud aws.Config
}

// Run assembles the application from the environment of this process and serves
// invocations with the handler that it returns for it, which has one of the forms
// that lambda.Start takes. It does not return: a process that cannot start says why
// and exits with status 1.
func Run(handler func(*App) any) {
	a, err := New(os.Getenv, os.Stderr)
	if err != nil {
		slog.Error("this function cannot start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler(a))
}

// New assembles the application that getenv, which has the contract of os.Getenv,
// describes. It logs to w as JSON lines, metrics among them. It calls no service.
func New(getenv func(string) string, w io.Writer) (*App, error) {
	c, err := config.Load(getenv)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	// The SDK's default chain would end here too, after its own reading of files and
	// profiles, and would link its clients of STS and SSO for nothing.
	cloud := aws.Config{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	}
	log := slog.New(withRequest{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.LogLevel})})
	st := store.New(dynamodb.NewFromConfig(cloud, func(o *dynamodb.Options) {
		if c.DynamoDBEndpoint != "" {
			o.BaseEndpoint = &c.DynamoDBEndpoint
		}
	}), c.Table, store.Options{})
	d, err := newDelivery(c, cloud, st, log, w)
	if err != nil {
		return nil, err
	}
	return &App{Config: c, Log: log, Store: st, Cloud: cloud, Hub: hub.New(hub.Options{
		Projects: st, Connections: st, Subscriptions: st, Claims: st, Usages: st, Presences: st, Counters: st,
		Delivery:    d,
		Callback:    callback.New(callback.Options{Insecure: c.InsecureCallbacks, Log: log}),
		VerifyToken: auth.VerifyToken,
		Log:         log,
	})}, nil
}

// newDelivery returns nil where the environment names no management API: such a
// function sends nothing.
func newDelivery(c config.Config, cloud aws.Config, st *store.Store, log *slog.Logger, w io.Writer) (hub.Delivery, error) {
	if c.ManagementURL == "" {
		return nil, nil
	}
	poster, err := delivery.NewPoster(delivery.PosterOptions{
		URL: c.ManagementURL, Region: cloud.Region, Credentials: cloud.Credentials, Concurrency: c.Concurrency,
	})
	if err != nil {
		return nil, err
	}
	d := delivery.New(delivery.Options{
		Subscribers: st, Poster: poster, Log: log,
		Encoders: map[hub.Protocol]delivery.Encoder{hub.Classic: classic.Push},
	})
	if c.MetricsNamespace == "" {
		return d, nil
	}
	return metrics.Watch(d, c.MetricsNamespace, w, time.Now), nil
}

// ServerAPI returns the handler of what applications call.
func (a *App) ServerAPI() http.Handler {
	return serverapi.New(serverapi.Options{
		Hub: a.Hub, Projects: a.Store, ProjectByAPIKey: a.Store.ProjectByAPIKey, Log: a.Log,
	})
}

// Notifier returns what posts messages to the webhooks of their projects.
func (a *App) Notifier() *callback.Notifier {
	return callback.NewNotifier(callback.NotifierOptions{Insecure: a.Config.InsecureCallbacks})
}

// Count is what the example application uses in place of a database of its own: it
// adds to the number of this name and returns the sum. A number that nobody adds to
// is forgotten after a month.
func (a *App) Count(ctx context.Context, name string, by int) (int, error) {
	return a.Store.Tally(ctx, "demo/"+name, by, time.Now().AddDate(0, 1, 0))
}

// Secret returns what looks up the secret of a project: for the example
// application, which is an application like any other but for this.
func (a *App) Secret(project string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		p, err := a.Store.Project(ctx, project)
		if err != nil {
			return "", err
		}
		return p.Secret, nil
	}
}

// withRequest adds the id of the Lambda request to every line that is logged
// during one.
type withRequest struct{ slog.Handler }

func (h withRequest) Handle(ctx context.Context, r slog.Record) error {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("request", lc.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequest{h.Handler.WithAttrs(attrs)}
}

func (h withRequest) WithGroup(name string) slog.Handler {
	return withRequest{h.Handler.WithGroup(name)}
}
