// Package stack is Centrifuge on one machine: DynamoDB, API Gateway and the
// functions, with the seeded project.
//
// It puts the functions behind the routes of functions/routes.go, as the CDK stack
// does. Only addresses differ. The functions are handlers in this process or, with
// Options.Lambda, the bootstraps as processes. It knows nothing of the command line.
package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"centrifuge/functions"
	"centrifuge/localstack/bundle"
	"centrifuge/localstack/dynamodb"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/seed"
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/config"
)

// Table is the name of the local table and of the local event bus. Stage is the stage
// of the WebSocket API.
const (
	Table = "centrifuge"
	Stage = "dev"
	// CentrifugoPath is a second path of the sockets: that of Centrifugo, which its SDKs use in
	// their examples and tests.
	CentrifugoPath = "/connection/websocket"
)

// The paths of EventBridge and of Lambda, and the waits of Lambda's queue, which are shorter
// than on AWS.
const (
	eventsPath = "/_eventbridge"
	lambdaPath = "/_lambda"
	firstDelay = time.Second
)

// Options configure a stack. The zero value is a stack on a free port that keeps its
// data in memory.
type Options struct {
	// Addr is the address to listen on. Default "127.0.0.1:0".
	Addr string
	// PublicHost is the host in the addresses for clients, where it is not that of Addr.
	PublicHost string
	// Documents is the folder of the documents that the first page links. Nil links none.
	Documents fs.FS
	// DataDir is the folder of the data. Start makes it. Empty keeps the data in memory.
	DataDir string
	// DynamoDBEndpoint is the address of a running DynamoDB. Empty starts one.
	DynamoDBEndpoint string
	// Table is the name of the table. Start creates it where it does not exist. Default
	// Table.
	Table string
	// Seed is the content of a seed file. Nil seeds nothing.
	Seed []byte
	// DefaultProject is the id of the project of clients whose URL names none.
	DefaultProject string
	// AdminPassword is the password of the admin pages. Empty generates one. Start stores
	// its hash in the table unless the hash there is already one of this password: then
	// sessions go on.
	AdminPassword string
	// Gateway are further options of the gateway: jitter, faults, limits. Start sets
	// the routes.
	Gateway gateway.Options
	// Minute is how long a minute of the schedules takes: a shorter one compresses it. Without one
	// no schedule invokes its function.
	Minute time.Duration
	// Lambda, if set, runs the functions as processes. Nil runs them in this process.
	Lambda *Lambda
	// Log receives the log lines of the functions, Progress messages about
	// installation. Nil discards them.
	Log, Progress io.Writer
	// Traffic logs each connection, frame, HTTP request and webhook at the level info.
	Traffic bool
	// LogLevel is the value of config.LogLevel, MetricsNamespace that of
	// config.MetricsNamespace. Without a namespace no metrics are written.
	LogLevel, MetricsNamespace string
}

// Stack is a running Centrifuge. It is safe for concurrent use.
type Stack struct {
	// HTTPURL is the HTTP API, WebSocketURL the WebSocket API and ManagementURL its
	// management API.
	HTTPURL, WebSocketURL, ManagementURL string
	// AdminURL is the address of the admin pages, AdminPassword their password.
	AdminURL, AdminPassword string
	// StartURL is the address of the first page. While only this machine can reach the
	// stack, it contains a key with which the page signs in to the admin pages.
	StartURL string
	// DynamoDBEndpoint is the DynamoDB in use.
	DynamoDBEndpoint string
	// App is the application of the functions. With Options.Lambda it is one more, with
	// caches of its own.
	App *publisher.App
	// Gateway is the API Gateway.
	Gateway *gateway.Gateway
	// Functions are the functions by name.
	Functions map[string]gateway.Function
	// Lambda runs the functions as processes. It is nil without Options.Lambda.
	Lambda *lambda.Service

	// localURL is the HTTP API for the functions and the database, which are on this
	// machine. startKey is the key in StartURL, "" for none.
	localURL, startKey string

	server   *http.Server
	database *dynamodb.Server
	served   chan error
	// queue has the asynchronous invocations of functions in this process.
	queue *lambda.Queue
	// endSchedules ends the schedules.
	endSchedules context.CancelFunc
	schedules    sync.WaitGroup
	// later is the work that functions in this process do after their answer.
	later sync.WaitGroup
}

// Start starts a stack and returns when it serves. ctx limits the start only. Start
// fails when the address is in use, and when a function of functions/routes.go has no
// handler or a handler is not in that list.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Stack{served: make(chan error, 1), DynamoDBEndpoint: o.DynamoDBEndpoint}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), s.stopLambda(), s.stopDatabase())
		}
	}()
	s.locate(listener.Addr(), o.PublicHost)
	s.AdminURL, s.AdminPassword = s.HTTPURL+"/admin/", cmp.Or(o.AdminPassword, auth.NewPassword())
	if s.DynamoDBEndpoint == "" {
		if err := s.startDatabase(ctx, o); err != nil {
			return nil, err
		}
	}
	if s.App, err = publisher.New(s.environment(o), o.Log); err != nil {
		return nil, err
	}
	if s.App.SDK, err = bundle.Script(ctx, o.Progress); err != nil {
		return nil, err
	}
	if err := s.App.Store.CreateTable(ctx); err != nil {
		return nil, err
	}
	if err := s.storePassword(ctx); err != nil {
		return nil, err
	}
	if o.Seed != nil {
		if _, err := seed.Apply(ctx, s.App.Store, o.Seed, s.localURL, time.Now()); err != nil {
			return nil, err
		}
	}
	ping, err := s.App.PingFunction()
	if err != nil {
		return nil, err
	}
	s.Functions = s.answerFirst(handlers(s.App, ping.InvokeWith))
	s.queue = lambda.NewQueue(lambda.QueueOptions{
		RetryDelays: [2]time.Duration{firstDelay, 2 * firstDelay}, DeadLetter: deadLetter(app.NewLog(o.Log, slog.LevelInfo)),
	})
	if o.Lambda != nil {
		if s.Functions, err = s.startLambda(ctx, o); err != nil {
			return nil, err
		}
	}
	if err := s.serve(listener, o); err != nil {
		return nil, err
	}
	return s, nil
}

// locate sets the addresses. Functions use the loopback address, whatever clients use.
func (s *Stack) locate(listening net.Addr, public string) {
	at := netip.MustParseAddrPort(listening.String())
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	} else if at.Addr().IsLoopback() {
		s.startKey = rand.Text()
	}
	host := at.String()
	s.localURL, s.ManagementURL = "http://"+host, "http://"+host+"/"+Stage
	if public != "" {
		host = net.JoinHostPort(public, strconv.Itoa(int(at.Port())))
	}
	s.HTTPURL, s.WebSocketURL = "http://"+host, "ws://"+host+"/"+Stage
	s.StartURL = s.HTTPURL + "/"
	if s.startKey != "" {
		s.StartURL += "?key=" + s.startKey
	}
}

// deadLetter logs events that failed in every attempt, without their content.
func deadLetter(log *slog.Logger) func(lambda.DeadLetter) {
	return func(d lambda.DeadLetter) {
		log.Error("event failed in every attempt", "function", d.Function, "request", d.RequestID, "error", d.Err)
	}
}

// storePassword makes AdminPassword the password of the table.
func (s *Stack) storePassword(ctx context.Context) error {
	hash, err := s.App.Store.AdminPassword(ctx)
	if err != nil {
		return err
	}
	if ok, err := auth.VerifyPassword(hash, s.AdminPassword); ok && err == nil {
		return nil
	}
	return s.App.Store.PutAdminPassword(ctx, auth.HashPassword(s.AdminPassword))
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

func (s *Stack) stopLambda() error {
	if s.Lambda == nil {
		return nil
	}
	return s.Lambda.Close()
}

// environment is the environment of all functions, which share one application, with
// what Lambda sets and what only this machine needs. No service checks the
// credentials.
func (s *Stack) environment(o Options) func(string) string {
	env := make(map[string]string)
	for _, f := range functions.All {
		maps.Copy(env, f.Environment(functions.Addresses{
			Table: cmp.Or(o.Table, Table), EventBus: Table, MetricsNamespace: o.MetricsNamespace,
			ManagementURL: s.ManagementURL, WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, DispatchFunction: functions.Dispatch,
			PingFunction: functions.Ping, DefaultProject: o.DefaultProject,
		}))
	}
	// One application posts for all functions, with the default number of concurrent posts.
	delete(env, config.Concurrency)
	delete(env, config.SDK) // Start sets its content
	maps.Copy(env, map[string]string{
		config.Region:          "us-east-1",
		config.AccessKeyID:     "local",
		config.SecretAccessKey: "local",

		config.InsecureCallbacks:   "true",
		config.LogLevel:            o.LogLevel,
		config.DynamoDBEndpoint:    s.DynamoDBEndpoint,
		config.EventBridgeEndpoint: s.localURL + eventsPath,
		config.LambdaEndpoint:      s.localURL + lambdaPath,
	})
	return func(name string) string { return env[name] }
}

// Done receives the error that ended serving, unless Close ended it.
func (s *Stack) Done() <-chan error { return s.served }

// Wait returns when the asynchronous invocations of functions in this process have ended, with
// their repetitions, and all have done the work that they left for after their answers.
func (s *Stack) Wait() {
	s.queue.Wait()
	s.later.Wait()
}

// Close stops everything that Start started: it closes sockets, waits for invocations and
// their work after the answer, and stops the database.
func (s *Stack) Close() error {
	s.endSchedules()
	s.schedules.Wait()
	s.Gateway.Close()
	s.queue.Close()
	s.Wait()
	return errors.Join(s.stopLambda(), s.server.Close(), s.stopDatabase())
}
