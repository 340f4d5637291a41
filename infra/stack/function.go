package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/infra/construct"
	"centrifuge/pkg/config"
)

// function is a folder of functions/ and all that its Lambda is given. To change
// what a function may do, change its line in functions.
type function struct {
	name     string
	memoryMB int
	// table and index are the DynamoDB actions it takes on each, partitions those on
	// some of the table's items only.
	table, index []string
	partitions   []access
	// connections are the methods of the management API that it uses. A function
	// that uses any is told where that is, and counts what it delivers.
	connections []string
	// emits: it puts messages on the bus for event hooks.
	emits bool
	// pages: it serves pages, which are told where to connect and to send requests.
	pages bool
}

// access is what may be done with the items of some partitions of the table: those
// whose key is like partition.
type access struct {
	partition string
	actions   []string
}

const (
	// light is for functions that wait for one or two requests to DynamoDB: Go
	// starts and answers in milliseconds at this size, and it costs little.
	light = 256
	// heavy is one whole CPU, for functions that deliver: each post to a connection
	// is signed and encrypted, which is work for the processor.
	heavy = 1769
)

const (
	get        = "dynamodb:GetItem"
	put        = "dynamodb:PutItem"
	update     = "dynamodb:UpdateItem"
	remove     = "dynamodb:DeleteItem"
	query      = "dynamodb:Query"
	scan       = "dynamodb:Scan"
	batchGet   = "dynamodb:BatchGetItem"
	batchWrite = "dynamodb:BatchWriteItem"
)

// demoProject is the project that the example application uses.
const demoProject = "demo"

type list = []string

// functions is every function there is. Nobody may do what does not stand here,
// except write the function's own log, read the admin password (admin), and leave
// what failed in the queue for that (webhook).
var functions = []function{
	{name: "connect", memoryMB: light, table: list{query, put}},
	{name: "auth", memoryMB: light, table: list{query, get, update, remove, batchWrite}, connections: list{"POST"}},
	{name: "subscribe", memoryMB: light, table: list{query, get, update, remove, batchWrite}, connections: list{"POST"}},
	{name: "unsubscribe", memoryMB: light, table: list{query, get, update, remove, batchWrite}, connections: list{"POST"}},
	{name: "broadcast", memoryMB: heavy, table: list{query, get, update, remove, batchWrite}, connections: list{"POST"}, emits: true},
	{name: "disconnect", memoryMB: light, table: list{query, remove, batchWrite}, connections: list{"POST"}},
	{name: "message", memoryMB: light, table: list{query, get}},
	{name: "publish", memoryMB: heavy, table: list{query, get, put, update, remove, batchGet, batchWrite, scan}, index: list{query}, connections: list{"POST", "DELETE"}, emits: true},
	{name: "admin", memoryMB: heavy, table: list{query, put, update, remove, batchGet, batchWrite, scan}, index: list{query}, connections: list{"POST", "DELETE"}, emits: true, pages: true},
	{name: "webhook", memoryMB: light, table: list{query}},
	{name: "demo", memoryMB: light, pages: true, partitions: []access{
		{"P#" + demoProject, list{query}},
		{"T#demo/*", list{get, update}}, // the counters that app.App.Count gives it
	}},
}

// deployed are the functions that are part of a stack with options o.
func deployed(o Options) []function {
	left := map[string]bool{"demo": !o.Demo, "admin": !o.Admin, "webhook": !o.Hooks}
	return slices.DeleteFunc(slices.Clone(functions), func(f function) bool { return left[f.name] })
}

// built fails when the bootstrap of f is not among the assets.
func (f function) built(o Options) error {
	if _, err := os.Stat(filepath.Join(o.Assets, f.name, "bootstrap")); err != nil {
		return fmt.Errorf("function %s has not been built: %w", f.name, err)
	}
	return nil
}

// surroundings is what functions are told of and may use.
type surroundings struct {
	table  *construct.Table
	socket *construct.WebSocket
	api    *construct.HTTPAPI
	// bus and dead are nil without hooks, password is nil without admin pages.
	bus      *construct.Bus
	dead     *construct.DeadLetters
	password *construct.Secret
}

// deploy makes the Lambda of f.
func (f function) deploy(scope constructs.Construct, o Options, s surroundings) *construct.Function {
	architecture := awslambda.Architecture_ARM_64()
	if o.Architecture == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	props := &construct.FunctionProps{
		Description:  "functions/" + f.name,
		Code:         filepath.Join(o.Assets, f.name),
		Architecture: architecture,
		MemoryMB:     f.memoryMB,
		Environment:  f.environment(o, s),
		Grants:       f.grants(s),
	}
	if f.name == "webhook" {
		props.DeadLetters = s.dead
	}
	return construct.NewFunction(scope, jsii.String(f.name), props)
}

// grants are the rights of f.
func (f function) grants(s surroundings) []awsiam.PolicyStatement {
	var grants []awsiam.PolicyStatement
	if len(f.table) > 0 {
		grants = append(grants, s.table.Allow(f.table...))
	}
	for _, a := range f.partitions {
		grants = append(grants, s.table.AllowPartition(a.partition, a.actions...))
	}
	if len(f.index) > 0 {
		grants = append(grants, s.table.AllowIndex(f.index...))
	}
	if len(f.connections) > 0 {
		grants = append(grants, s.socket.AllowConnections(f.connections...))
	}
	if f.emits && s.bus != nil {
		grants = append(grants, s.bus.AllowPut(messages))
	}
	if f.name == "admin" {
		grants = append(grants, s.password.AllowRead())
	}
	return grants
}

// environment is what f is told.
func (f function) environment(o Options, s surroundings) map[string]string {
	environment := map[string]string{config.Table: s.table.Name()}
	if len(f.connections) > 0 {
		environment[config.ManagementURL] = s.socket.ManagementURL()
		environment[config.MetricsNamespace] = namespace(o)
	}
	if f.emits && s.bus != nil {
		environment[config.EventBus] = s.bus.Name()
	}
	if f.pages {
		environment[config.WebSocketURL] = s.socket.URL()
		environment[config.HTTPURL] = s.api.URL()
	}
	switch f.name {
	case "admin":
		environment[config.AdminSecret] = s.password.ARN()
	case "demo":
		environment[config.DemoProject] = demoProject
	}
	return environment
}
