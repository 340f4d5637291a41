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
	// table and index are the DynamoDB actions it takes on each.
	table, index []string
	// partition limits table to the items of one partition; "" does not.
	partition string
	// connections are the methods of the management API that it uses. A function
	// that uses any is told where that is, and counts what it delivers.
	connections []string
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
// except write the function's own log.
var functions = []function{
	{name: "connect", memoryMB: light, table: list{query, put}},
	{name: "auth", memoryMB: light, table: list{query, get, update}},
	{name: "subscribe", memoryMB: light, table: list{query, get, update, batchWrite}},
	{name: "unsubscribe", memoryMB: light, table: list{query, get, update, batchWrite}},
	{name: "broadcast", memoryMB: heavy, table: list{query, get, remove, batchWrite}, connections: list{"POST"}},
	{name: "disconnect", memoryMB: light, table: list{remove, batchWrite}},
	{name: "message", memoryMB: light},
	{name: "publish", memoryMB: heavy, table: list{query, get, put, update, remove, batchGet, batchWrite, scan}, index: list{query}, connections: list{"POST", "DELETE"}},
	{name: "demo", memoryMB: light, table: list{query}, partition: "P#" + demoProject},
}

// deployed are the functions that are part of a stack with options o.
func deployed(o Options) []function {
	return slices.DeleteFunc(slices.Clone(functions), func(f function) bool {
		return f.name == "demo" && !o.Demo
	})
}

// built fails when the bootstrap of f is not among the assets.
func (f function) built(o Options) error {
	if _, err := os.Stat(filepath.Join(o.Assets, f.name, "bootstrap")); err != nil {
		return fmt.Errorf("function %s has not been built: %w", f.name, err)
	}
	return nil
}

// deploy makes the Lambda of f.
func (f function) deploy(scope constructs.Construct, o Options, table *construct.Table, socket *construct.WebSocket, api *construct.HTTPAPI) *construct.Function {
	var grants []awsiam.PolicyStatement
	switch {
	case len(f.table) > 0 && f.partition != "":
		grants = append(grants, table.AllowPartition(f.partition, f.table...))
	case len(f.table) > 0:
		grants = append(grants, table.Allow(f.table...))
	}
	if len(f.index) > 0 {
		grants = append(grants, table.AllowIndex(f.index...))
	}

	environment := map[string]string{config.Table: table.Name()}
	if len(f.connections) > 0 {
		grants = append(grants, socket.AllowConnections(f.connections...))
		environment[config.ManagementURL] = socket.ManagementURL()
		environment[config.MetricsNamespace] = namespace(o)
	}
	if f.name == "demo" {
		environment[config.DemoProject] = demoProject
		environment[config.WebSocketURL] = socket.URL()
		environment[config.HTTPURL] = api.URL()
	}

	architecture := awslambda.Architecture_ARM_64()
	if o.Architecture == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	return construct.NewFunction(scope, jsii.String(f.name), &construct.FunctionProps{
		Description:  "functions/" + f.name,
		Code:         filepath.Join(o.Assets, f.name),
		Architecture: architecture,
		MemoryMB:     f.memoryMB,
		Environment:  environment,
		Grants:       grants,
	})
}
