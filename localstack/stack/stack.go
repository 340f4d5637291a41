// Package stack is Centrifuge on one machine: DynamoDB, API Gateway and the
// functions in one process, with the seeded project.
//
// It puts the same handlers behind the same routes as the CDK stack does, and is
// told apart from it only by addresses. It knows nothing of the command line.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/functions/demo/chat"
	"centrifuge/localstack/dynamodb"
	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/seed"
	"centrifuge/pkg/app/console"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/config"
	lambdas "centrifuge/pkg/gateway"
)

// Table is the name of the local table and event bus, and Stage of the WebSocket
// API's stage.
const (
	Table = "centrifuge"
	Stage = "dev"
)

// eventsPath is where EventBridge is, which AWS has elsewhere than a gateway.
const eventsPath = "/_eventbridge"

// Options say how a stack runs. The zero value is a stack on a free port that
// forgets everything when it is closed.
type Options struct {
	// Addr is where to listen, "127.0.0.1:0" by default.
	Addr string
	// DataDir is the folder that keeps the data, made when absent. "" keeps it in
	// memory.
	DataDir string
	// DynamoDBEndpoint is another DynamoDB to use instead of starting one.
	DynamoDBEndpoint string
	// Seed is the content of a seed file; nil seeds nothing.
	Seed []byte
	// AdminPassword opens the admin pages; one is made up where it is empty.
	AdminPassword string
	// Gateway are further options of the gateway: jitter, faults, limits. Routes are
	// set by Start.
	Gateway gateway.Options
	// Log receives the log lines of the functions, Progress what is being installed;
	// nil discards them.
	Log, Progress io.Writer
	// LogLevel is that of config.LogLevel, MetricsNamespace of
	// config.MetricsNamespace: "" writes no metrics.
	LogLevel, MetricsNamespace string
}

// Stack is a running Centrifuge. It is safe for concurrent use.
type Stack struct {
	// HTTPURL is the HTTP API, WebSocketURL the WebSocket API and ManagementURL its
	// management API.
	HTTPURL, WebSocketURL, ManagementURL string
	// AdminURL is where the admin pages are, AdminPassword what opens them.
	AdminURL, AdminPassword string
	// DynamoDBEndpoint is the DynamoDB in use.
	DynamoDBEndpoint string
	// App is what the functions run on.
	App *publisher.App
	// Gateway is the API Gateway.
	Gateway *gateway.Gateway
	// Functions are the functions by the name of their folder.
	Functions map[string]gateway.Function

	server   *http.Server
	events   *eventbridge.Bus
	database *dynamodb.Server
	served   chan error
}

// Start starts a stack and returns when it serves. ctx bounds the start alone. It
// fails, saying so, when the address is taken.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Stack{served: make(chan error, 1), DynamoDBEndpoint: o.DynamoDBEndpoint}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), s.stopDatabase())
		}
	}()
	host := listener.Addr().String()
	s.HTTPURL, s.WebSocketURL, s.ManagementURL = "http://"+host, "ws://"+host+"/"+Stage, "http://"+host+"/"+Stage
	s.AdminURL, s.AdminPassword = s.HTTPURL+"/admin/", cmp.Or(o.AdminPassword, auth.NewSecret())
	if s.DynamoDBEndpoint == "" {
		if err := s.startDatabase(ctx, o); err != nil {
			return nil, err
		}
	}
	if s.App, err = publisher.New(s.environment(o), o.Log); err != nil {
		return nil, err
	}
	if err := s.App.Store.CreateTable(ctx); err != nil {
		return nil, err
	}
	if o.Seed != nil {
		if _, err := seed.Apply(ctx, s.App.Store, o.Seed, s.HTTPURL, time.Now()); err != nil {
			return nil, err
		}
	}
	s.Functions = functions(s.App)
	s.serve(listener, o)
	return s, nil
}

func (s *Stack) startDatabase(ctx context.Context, o Options) error {
	path := ""
	if o.DataDir != "" {
		if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
			return fmt.Errorf("make the data folder: %w", err)
		}
		path = filepath.Join(o.DataDir, "dynamodb.sqlite")
	}
	database, err := dynamodb.Start(ctx, dynamodb.Options{Path: path, Progress: o.Progress})
	if err != nil {
		return err
	}
	s.database, s.DynamoDBEndpoint = database, database.Endpoint()
	return nil
}

func (s *Stack) stopDatabase() error {
	if s.database == nil {
		return nil
	}
	return s.database.Stop()
}

// environment is what the CDK stack would give to the functions. Credentials are
// those of nobody: everything here is on this machine.
func (s *Stack) environment(o Options) func(string) string {
	env := map[string]string{
		config.Table:             Table,
		config.ManagementURL:     s.ManagementURL,
		config.InsecureCallbacks: "true",
		config.LogLevel:          o.LogLevel,
		config.MetricsNamespace:  o.MetricsNamespace,
		config.DynamoDBEndpoint:  s.DynamoDBEndpoint,
		config.WebSocketURL:      s.WebSocketURL,
		config.HTTPURL:           s.HTTPURL,
		config.AdminPassword:     s.AdminPassword,
		config.EventBus:          Table,
		config.Region:            "us-east-1",
		config.AccessKeyID:       "local",
		config.SecretAccessKey:   "local",

		config.EventBridgeEndpoint: s.HTTPURL + eventsPath,
	}
	return func(name string) string { return env[name] }
}

// functions are the handlers that the main packages of functions/ start.
func functions(a *publisher.App) map[string]gateway.Function {
	hook := lambdas.Webhook(a.Store, a.Notifier().Notify, a.Log)
	return map[string]gateway.Function{
		"connect":     gateway.NewFunction(lambdas.Connect(a.Hub.Hub, a.Log)),
		"disconnect":  gateway.NewFunction(lambdas.Disconnect(a.Hub.Hub, a.Log)),
		"auth":        gateway.NewFunction(lambdas.Auth(a.Hub.Hub, a.Log)),
		"subscribe":   gateway.NewFunction(lambdas.Subscribe(a.Hub.Hub, a.Log)),
		"unsubscribe": gateway.NewFunction(lambdas.Unsubscribe(a.Hub.Hub, a.Log)),
		"broadcast":   gateway.NewFunction(lambdas.Broadcast(a.Hub, a.Log)),
		"message":     gateway.NewFunction(lambdas.Message(a.Hub.Hub, a.Log)),
		"publish":     gateway.NewFunction(lambdas.Serve(a.ServerAPI())),
		"admin":       gateway.NewFunction(lambdas.Serve(console.Handler(a))),
		"webhook": gateway.NewFunction(func(ctx context.Context, e events.EventBridgeEvent) (any, error) {
			return nil, hook(ctx, e)
		}),
		"demo": gateway.NewFunction(lambdas.Serve(chat.New(chat.Options{
			Project: a.Config.DemoProject, Secret: a.Secret(a.Config.DemoProject), Count: a.Count,
			WebSocketURL: a.Config.WebSocketURL, HTTPURL: a.Config.HTTPURL, Log: a.Log,
		}))),
	}
}

func (s *Stack) serve(listener net.Listener, o Options) {
	f := s.Functions
	g := o.Gateway
	g.Stage = Stage
	g.Routes = map[string]gateway.Function{
		"$connect": f["connect"], "$disconnect": f["disconnect"], "$default": f["message"],
		"auth": f["auth"], "subscribe": f["subscribe"], "unsubscribe": f["unsubscribe"], "broadcast": f["broadcast"],
	}
	g.HTTP = []gateway.HTTPRoute{
		{Method: "POST", Path: "/api/{proxy+}", Function: f["publish"]},
		{Method: "POST", Path: "/rpc/{project}", Function: f["publish"]},
		{Method: "GET", Path: "/healthz", Function: f["publish"]},
		{Method: "GET", Path: "/api/openapi.json", Function: f["publish"]},
		{Method: "GET", Path: "/admin", Function: f["admin"]},
		{Method: "ANY", Path: "/admin/{proxy+}", Function: f["admin"]},
		{Method: "GET", Path: "/demo", Function: f["demo"]},
		{Method: "ANY", Path: "/demo/{proxy+}", Function: f["demo"]},
	}
	if g.Log == nil {
		g.Log = slog.New(slog.NewJSONHandler(o.Log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s.Gateway = gateway.New(g)
	s.events = eventbridge.New(eventbridge.Options{Functions: []gateway.Function{f["webhook"]}, Log: g.Log})
	mux := http.NewServeMux()
	mux.Handle("/", s.Gateway)
	mux.Handle(eventsPath, s.events)
	mux.Handle(eventsPath+"/", s.events)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.server.Serve(listener) }()
}

// Done yields the error that ended serving, if anything but Close did.
func (s *Stack) Done() <-chan error { return s.served }

// Close ends everything that Start started and waits for it: sockets are closed,
// invocations under way end, the database is written.
func (s *Stack) Close() error {
	s.Gateway.Close()
	s.events.Close()
	return errors.Join(s.server.Close(), s.stopDatabase())
}
