// Package functions is the one list of functions: what invokes each of them, its
// size, and what it may use, and of the routes that invoke none. infra deploys this
// list and localstack runs it. The main package of a function is in the folder of its
// name.
//
// The list is plain data. It knows nothing of CDK, of the AWS SDK or of what a
// function does.
package functions

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"centrifuge/pkg/config"
	"centrifuge/pkg/store/schema"
)

// Function is one Lambda function. It may do nothing that its fields do not grant,
// except write its own log.
type Function struct {
	// Name is the name of the folder with its main package.
	Name string
	// Option is the deployment option that adds the function.
	Option Option
	// MemoryMB is its memory. The share of a CPU grows with it: 1769 is one CPU.
	MemoryMB int
	// Waits is set for functions that wait for applications, which may not answer. A
	// deployment can limit how many of them run concurrently.
	Waits bool

	// What invokes it: one of the four.

	// WebSocket are routes of the WebSocket API.
	WebSocket []Route
	// HTTP are routes of the HTTP API, as API Gateway writes them:
	// "POST /api/{proxy+}". ANY is every method.
	HTTP []string
	// Events are events of the event bus. They invoke the function asynchronously,
	// and Lambda retries twice.
	Events []Event
	// Asynchronous is set for a function that other functions invoke asynchronously: those
	// that name it in Invokes. Lambda retries twice.
	Asynchronous bool
	// Schedule is when EventBridge invokes an Asynchronous function too, as an expression of
	// EventBridge: "cron(* * * * ? *)" is every minute. The event tells the minute.
	Schedule string
	// DeadLetters sends an asynchronous event to the dead-letter queue when every
	// attempt failed.
	DeadLetters bool

	// What it may do.

	// Table are the DynamoDB actions it may use on the table, Index on the index. Table
	// leaves out the partition of the admin password, except for Scan: it names no
	// partition, so no policy can leave one out.
	Table, Index []string
	// Partitions are actions it may use on some partitions of the table.
	Partitions []Partition
	// Connections are the methods of the management API it may use. A function that
	// may use one counts deliveries as metrics.
	Connections []string
	// Posts is the maximum number of concurrent posts to connections, for functions
	// that may post.
	Posts int
	// Puts are the events it may put on the event bus.
	Puts []Event
	// Invokes are the functions, by name, that it may invoke asynchronously. Its environment
	// holds the name of Dispatch where it is one of them.
	Invokes []string

	// What its environment holds in addition to the name of the table.

	// Hub adds the URL of the management API, which every hub is built with.
	Hub bool
	// Clients adds the id of the project of clients whose URL names none.
	Clients bool
	// Pings adds the name of Ping, where the deployment has it: then it sends pings.
	Pings bool
	// Pages adds the URLs of both APIs and the path of the file SDK, which is beside the
	// bootstrap, for the pages that it serves.
	Pages bool
	// Variables are further variables with fixed values.
	Variables map[string]string
}

// Option is a deployment option that adds functions. Required functions have none.
type Option string

// The options.
const (
	Required Option = ""
	Admin    Option = "admin"
	Demo     Option = "demo"
	Hooks    Option = "hooks"
	Pings    Option = "pings"
)

// Route is a route of the WebSocket API.
type Route struct {
	// Key is the method in a client's frame, or "$connect", "$disconnect", "$default".
	Key string
	// Reply sends the function's response to the client.
	Reply bool
}

// Event is a kind of event on the event bus.
type Event struct{ Source, DetailType string }

// Partition are the partitions of the table whose key matches Key, in which "*"
// matches any characters.
type Partition struct {
	Key     string
	Actions []string
}

// Dispatch is the name of the function that dispatches the streams of busy channels.
const Dispatch = "dispatch"

// Ping is the name of the function that sends pings.
const Ping = "ping"

// SDK is the name of the file with which pages connect. make build puts it beside the
// bootstraps of functions with Pages.
const SDK = "centrifuge.js"

// The events. Package eventbus puts them.
var (
	message     = event("message")
	disconnect  = event("disconnect")
	unsubscribe = event("unsubscribe")
	occupied    = event("occupied")
	vacated     = event("vacated")

	// ending are the events of functions that end subscriptions and connections: those that post
	// find some gone. changing are those of functions that make or renew subscriptions, too.
	ending   = []Event{disconnect, unsubscribe, vacated}
	changing = append([]Event{occupied}, ending...)
)

func event(detailType string) Event { return Event{Source: "centrifuge", DetailType: detailType} }

// demoProject is the project of the example application.
const demoProject = "demo"

// Timeout is when Lambda ends a function. API Gateway waits no longer for a response.
// The context of a handler ends Reserve earlier: in the rest it reports, settles what
// it claimed and replies.
const (
	Timeout = 29 * time.Second
	Reserve = 3 * time.Second
)

// The numbers of concurrent posts.
const (
	// manyPosts is for functions that deliver messages to whole channels, with a CPU.
	manyPosts = 64
	// fewPosts is for light functions, which announce joins and leaves. They have a
	// seventh of a CPU, and each concurrent post begins with a TLS handshake. Many of
	// them run concurrently when many clients connect, and all share the account's quota
	// of requests.
	fewPosts = 16
)

// The memory of functions, in MB.
const (
	// light is for functions that wait for DynamoDB: a Go function starts and answers
	// in milliseconds at this size.
	light = 256
	// medium is for the function of Centrifugo's protocol: most commands wait for DynamoDB, and
	// some deliver.
	medium = 512
	// heavy is for functions that deliver: they sign and encrypt every post to a
	// connection, which takes CPU.
	heavy = 1769
)

// The values of Route.Reply.
const (
	oneWay = false
	twoWay = true
)

// The actions of DynamoDB. A transaction requires those of its items.
const (
	get        = "GetItem"
	put        = "PutItem"
	update     = "UpdateItem"
	remove     = "DeleteItem"
	query      = "Query"
	scan       = "Scan"
	batchGet   = "BatchGetItem"
	batchWrite = "BatchWriteItem"
)

type list = []string

// All are the functions.
var All = []Function{
	{
		Name: "connect", MemoryMB: light, Hub: true,
		WebSocket: []Route{{"$connect", oneWay}},
		Table:     list{query, put},
	},
	{
		Name: "auth", MemoryMB: light, Hub: true, Waits: true,
		WebSocket:   []Route{{"auth", twoWay}},
		Table:       list{query, get, update, remove, batchWrite},
		Connections: list{"POST", "DELETE"},
		Posts:       fewPosts,
		Puts:        changing,
	},
	{
		Name: "subscribe", MemoryMB: light, Hub: true,
		WebSocket:   []Route{{"subscribe", twoWay}},
		Table:       list{query, put, update, remove, batchWrite},
		Connections: list{"POST", "DELETE"},
		Posts:       fewPosts,
		Puts:        changing,
	},
	{
		Name: "unsubscribe", MemoryMB: light, Hub: true,
		WebSocket:   []Route{{"unsubscribe", twoWay}},
		Table:       list{query, update, remove, batchWrite},
		Connections: list{"POST", "DELETE"},
		Posts:       fewPosts,
		Puts:        ending,
	},
	{
		Name: "broadcast", MemoryMB: heavy, Hub: true,
		WebSocket:   []Route{{"broadcast", twoWay}},
		Table:       list{query, get, put, update, remove, batchWrite},
		Connections: list{"POST", "DELETE"},
		Posts:       manyPosts,
		Puts:        append([]Event{message}, changing...),
		Invokes:     list{Dispatch},
	},
	{
		Name: "disconnect", MemoryMB: light, Hub: true,
		WebSocket:   []Route{{"$disconnect", oneWay}},
		Table:       list{query, update, batchWrite},
		Connections: list{"POST", "DELETE"},
		Posts:       fewPosts,
		Puts:        ending,
	},
	{
		Name: "message", MemoryMB: medium, Hub: true, Clients: true, Pings: true, Waits: true,
		WebSocket:   []Route{{"$default", twoWay}},
		Table:       list{query, get, put, update, remove, batchWrite},
		Connections: list{"POST", "DELETE"},
		Posts:       manyPosts,
		Puts:        append([]Event{message}, changing...),
		Invokes:     list{Dispatch},
	},
	{
		Name: "publish", MemoryMB: heavy, Hub: true,
		HTTP: list{
			"POST /api", "POST /api/{proxy+}", "POST /rpc/{project}",
			"GET /api/openapi.json", "HEAD /api/openapi.json", "GET /healthz", "HEAD /healthz",
		},
		Table:       list{query, get, put, update, remove, batchGet, batchWrite, scan},
		Index:       list{query},
		Connections: list{"POST", "DELETE"},
		Posts:       manyPosts,
		Puts:        append([]Event{message}, changing...),
		Invokes:     list{Dispatch},
	},
	{
		Name: "admin", MemoryMB: heavy, Hub: true, Pings: true, Pages: true, Option: Admin,
		HTTP:        list{"ANY /admin", "ANY /admin/{proxy+}"}, // {proxy+} matches "/admin/" too
		Table:       list{query, get, put, update, remove, batchGet, batchWrite, scan},
		Index:       list{query},
		Connections: list{"POST", "DELETE"},
		Posts:       manyPosts,
		Puts:        append([]Event{message}, changing...),
		Invokes:     list{Dispatch},
		Partitions:  []Partition{{schema.PasswordPartition, list{get}}},
	},
	{
		Name: Dispatch, MemoryMB: heavy, Hub: true,
		Asynchronous: true,
		DeadLetters:  true,
		Table:        list{query, get, update, remove, batchWrite},
		Connections:  list{"POST", "DELETE"},
		Posts:        manyPosts,
		Puts:         append([]Event{message}, changing...),
		Invokes:      list{Dispatch}, // when its time ends
	},
	{
		Name: Ping, MemoryMB: heavy, Hub: true, Pings: true, Option: Pings,
		Asynchronous: true,
		Schedule:     "cron(* * * * ? *)", // unlike a rate, it tells whole minutes
		Table:        list{query, get, put, update, batchWrite},
		Connections:  list{"POST", "DELETE"},
		Posts:        manyPosts,
		Puts:         ending,
		Invokes:      list{Ping}, // for what is more than one batch
	},
	{
		Name: "webhook", MemoryMB: light, Waits: true, Option: Hooks,
		Events:      append([]Event{message}, changing...),
		DeadLetters: true,
		Table:       list{query},
		Partitions:  []Partition{{"B#*", list{get, update, remove}}}, // the circuit breakers
	},
	{
		Name: "demo", MemoryMB: light, Pages: true, Option: Demo,
		HTTP: list{"ANY /demo", "ANY /demo/{proxy+}"},
		Partitions: []Partition{
			{"P#" + demoProject, list{query}},
			{"T#demo/*", list{get, update}}, // the counters of the demo
		},
		Variables: map[string]string{config.DemoProject: demoProject},
	},
}

// Mocks are the routes of the WebSocket API without a function. API Gateway accepts
// their frames and sends nothing: a frame costs one message.
var Mocks = list{
	"ping", // keeps a connection open
}

// Addresses are where a deployment has what its functions use. An address is empty
// where the deployment has no such thing.
type Addresses struct {
	Table                 string
	ManagementURL         string
	WebSocketURL, HTTPURL string
	EventBus              string
	MetricsNamespace      string
	// DispatchFunction is the name of the function Dispatch in the deployment.
	DispatchFunction string
	// PingFunction is that of the function Ping.
	PingFunction string
	// DefaultProject is the id of the project of clients whose URL names none.
	DefaultProject string
}

// Environment returns the environment variables of f. What has no address is not set.
func (f Function) Environment(a Addresses) map[string]string {
	environment := map[string]string{config.Table: a.Table}
	set := func(condition bool, name, value string) {
		if condition && value != "" {
			environment[name] = value
		}
	}
	set(f.Hub, config.ManagementURL, a.ManagementURL)
	set(f.Clients, config.DefaultProject, a.DefaultProject)
	set(f.Pages, config.WebSocketURL, a.WebSocketURL)
	set(f.Pages, config.HTTPURL, a.HTTPURL)
	set(f.Pages, config.SDK, SDK)
	set(len(f.Connections) > 0, config.MetricsNamespace, a.MetricsNamespace)
	set(f.Posts > 0, config.Concurrency, strconv.Itoa(f.Posts))
	set(len(f.Puts) > 0, config.EventBus, a.EventBus)
	set(slices.Contains(f.Invokes, Dispatch), config.DispatchFunction, a.DispatchFunction)
	set(f.Pings, config.PingFunction, a.PingFunction)
	maps.Copy(environment, f.Variables)
	return environment
}
