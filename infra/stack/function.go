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

	"centrifuge/functions"
	"centrifuge/infra/construct"
	"centrifuge/pkg/store/schema"
)

// deployed returns the functions of a stack with options o.
func deployed(o Options) []functions.Function {
	included := map[functions.Option]bool{
		functions.Required: true, functions.Admin: o.Admin, functions.Demo: o.Demo, functions.Hooks: o.Hooks,
		functions.Pings: o.Pings,
	}
	return slices.DeleteFunc(slices.Clone(functions.All), func(f functions.Function) bool { return !included[f.Option] })
}

// checkBuilt fails when the assets lack a bootstrap, or what is beside it.
func checkBuilt(o Options) error {
	for _, f := range deployed(o) {
		files := []string{"bootstrap"}
		if f.Pages {
			files = append(files, functions.SDK)
		}
		for _, file := range files {
			if _, err := os.Stat(filepath.Join(o.Assets, f.Name, file)); err != nil {
				return fmt.Errorf("function %s is not built, run make build: %w", f.Name, err)
			}
		}
	}
	return nil
}

// resources are what functions reference.
type resources struct {
	table       *construct.Table
	webSocket   *construct.WebSocket
	http        *construct.HTTPAPI
	deadLetters *construct.DeadLetters
	// bus is nil without hooks.
	bus *construct.Bus
}

// deploy makes the Lambda of f and connects it with what invokes it.
func (r resources) deploy(scope constructs.Construct, o Options, f functions.Function) *construct.Function {
	architecture := awslambda.Architecture_ARM_64()
	if o.Architecture == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	props := &construct.FunctionProps{
		Description:  "functions/" + f.Name,
		Code:         filepath.Join(o.Assets, f.Name),
		Architecture: architecture,
		MemoryMB:     f.MemoryMB,
		Environment:  f.Environment(r.addresses(o)),
		Grants:       r.grants(scope, o, f),
		// A busy channel is dispatched for hours, by one invocation after the other. Other functions
		// invoke themselves once at most.
		InvokesItself: f.Name == functions.Dispatch,
	}
	if f.Asynchronous {
		props.Name = functionName(o, f.Name)
	}
	if f.Waits {
		props.ReservedConcurrency = o.ReservedConcurrency
	}
	if f.DeadLetters {
		props.DeadLetters = r.deadLetters
	}
	lambda := construct.NewFunction(scope, jsii.String(f.Name), props)

	for _, route := range f.WebSocket {
		r.webSocket.Route(route.Key, lambda, route.Reply)
	}
	if len(f.HTTP) > 0 {
		r.http.Route(lambda, f.HTTP...)
	}
	if f.Schedule != "" {
		construct.NewSchedule(scope, jsii.String(f.Name+"Schedule"), &construct.ScheduleProps{Expression: f.Schedule, Function: lambda})
	}
	if len(f.Events) > 0 {
		r.bus.Invoke(lambda, r.deadLetters, kinds(f.Events)...)
	}
	return lambda
}

// functionName is the name of a function that other functions invoke. It is no reference to the
// function, which may invoke itself: its own rights and environment hold the name.
func functionName(o Options, name string) string { return stackName(o) + "-" + name }

func (r resources) addresses(o Options) functions.Addresses {
	a := functions.Addresses{
		Table:            r.table.Name(),
		ManagementURL:    r.webSocket.ManagementURL(),
		WebSocketURL:     r.webSocket.URL(),
		HTTPURL:          r.http.URL(),
		MetricsNamespace: namespace(o),
		DispatchFunction: functionName(o, functions.Dispatch),
		DefaultProject:   o.DefaultProject,
	}
	if o.Pings {
		a.PingFunction = functionName(o, functions.Ping)
	}
	if r.bus != nil {
		a.EventBus = r.bus.Name()
	}
	return a
}

// grants returns the rights of f.
func (r resources) grants(scope constructs.Construct, o Options, f functions.Function) []awsiam.PolicyStatement {
	var grants []awsiam.PolicyStatement
	if len(f.Table) > 0 {
		grants = append(grants, r.table.AllowExcept(schema.PasswordPartition, f.Table...))
	}
	for _, p := range f.Partitions {
		grants = append(grants, r.table.AllowPartition(p.Key, p.Actions...))
	}
	if len(f.Index) > 0 {
		grants = append(grants, r.table.AllowIndex(f.Index...))
	}
	if len(f.Connections) > 0 {
		grants = append(grants, r.webSocket.AllowConnections(f.Connections...))
	}
	for _, name := range f.Invokes {
		grants = append(grants, construct.AllowInvoke(scope, functionName(o, name)))
	}
	if r.bus != nil && len(f.Puts) > 0 {
		grants = append(grants, r.bus.AllowPut(kinds(f.Puts)...))
	}
	return grants
}

// kinds are events as a bus knows them.
func kinds(events []functions.Event) (all []construct.Event) {
	for _, e := range events {
		all = append(all, construct.Event(e))
	}
	return all
}
