// Package stack is Centrifuge on AWS. It reads as a drawing of the architecture: a
// table, a WebSocket API for clients, an HTTP API for applications and
// administrators, the functions of package functions, a dead-letter queue, an event bus for
// event hooks, alarms and a dashboard.
//
// How one resource is configured is in package construct. Names that stack and code
// share are constants of pkg/config and pkg/store/schema. The stack names neither an
// account nor a region: it synthesizes offline, and its template can be deployed
// anywhere.
package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/functions"
	"centrifuge/infra/construct"
	"centrifuge/pkg/store/schema"
)

// An account has 10,000 requests a second, with a burst of 5,000, for all its APIs in
// a region, posts to connections included. The stages limit clients and applications
// to a part of it, so that the larger part is left for deliveries. AWS documents the
// limit of a stage for frames of clients. If posts count too, which is unknown, a stack
// delivers at most webSocketThrottle.Rate messages a second.
var (
	webSocketThrottle = construct.Throttle{Rate: 2000, Burst: 1000}
	httpThrottle      = construct.Throttle{Rate: 1000, Burst: 500}
)

// New makes the stack centrifuge-<stage>. It fails when a function is not built.
func New(scope constructs.Construct, o Options) (awscdk.Stack, error) {
	if err := checkBuilt(o); err != nil {
		return nil, err
	}

	name := stackName(o)
	stack := awscdk.NewStack(scope, jsii.String(name), &awscdk.StackProps{
		Description: jsii.String("Centrifuge: real-time messages to connected clients"),
	})

	table := construct.NewTable(stack, jsii.String("Table"), &construct.TableProps{
		PartitionKey: schema.PartitionKey,
		SortKey:      schema.SortKey,
		Expiry:       schema.ExpiryAttribute,
		Index:        schema.UserIndex,
		IndexKey:     schema.UserKey,
		Retain:       o.Retain,
	})
	webSocketDomain, httpDomain := domains(stack, o)
	r := resources{
		table: table,
		webSocket: construct.NewWebSocket(stack, jsii.String("WebSocket"), &construct.WebSocketProps{
			Name:           name,
			Stage:          o.Stage,
			RouteSelection: "$request.body.method",
			Throttle:       webSocketThrottle,
			Domain:         webSocketDomain,
		}),
		http: construct.NewHTTPAPI(stack, jsii.String("HTTP"), &construct.HTTPAPIProps{
			Name:     name,
			Throttle: httpThrottle,
			Domain:   httpDomain,
		}),
		deadLetters: construct.NewDeadLetters(stack, jsii.String("DeadLetters")),
	}
	if o.Admin {
		output(stack, "AdminURL", r.http.URL()+"/admin/", "The admin pages; make admin-password sets their password and prints it")
	}
	if o.Demo {
		output(stack, "DemoURL", r.http.URL()+"/demo/", "The example application")
	}
	if o.Hooks {
		r.bus = construct.NewBus(stack, jsii.String("Events"), &construct.BusProps{Name: name})
		output(stack, "EventBusName", r.bus.Name(), "The event bus that receives the messages of categories with hooks")
	}

	m := monitoring{resources: r, namespace: namespace(o)}
	for _, f := range deployed(o) {
		lambda := r.deploy(stack, o, f)
		if f.Schedule == "" { // the dashboard has all metrics that are free
			m.functions = append(m.functions, lambda)
		}
		if len(f.Events) > 0 {
			output(stack, "WebhookFunction", *lambda.Lambda.FunctionName(), "The function that posts messages to webhooks")
		} else {
			m.alarmed = append(m.alarmed, lambda)
		}
	}
	for _, route := range functions.Mocks {
		r.webSocket.Mock(route)
	}
	if o.Monitoring {
		alarms := m.alarms(stack, name, o.Alarms)
		output(stack, "DashboardURL", m.dashboard(stack, name, alarms).URL(), "The dashboard in the CloudWatch console")
	}

	output(stack, "WebSocketURL", r.webSocket.URL(), "The address that clients connect to")
	output(stack, "HTTPURL", r.http.URL(), "The address of the server API")
	output(stack, "ManagementURL", r.webSocket.ManagementURL(), "The base address of the management API, @connections")
	output(stack, "DispatchFunction", functionName(o, functions.Dispatch), "The function that dispatches the streams of busy channels")
	output(stack, "DeadLetterQueueURL", r.deadLetters.URL(), "The queue of events that a function failed in every attempt")
	output(stack, "TableName", table.Name(), "The table that holds all state")
	return stack, nil
}

// stackName is the name of the stack and of its parts, and begins those of its functions.
func stackName(o Options) string { return "centrifuge-" + o.Stage }

// domains makes the custom domains of the WebSocket API and of the HTTP API. Both
// are nil without the option.
func domains(stack awscdk.Stack, o Options) (websocket, http *construct.Domain) {
	if o.Domain == "" {
		return nil, nil
	}
	domain := func(id, name string) *construct.Domain {
		d := construct.NewDomain(stack, jsii.String(id), &construct.DomainProps{
			Name: name, Certificate: o.Certificate, Zone: o.Zone,
		})
		if o.Zone == "" {
			output(stack, id+"Target", d.Target(), "The target of the CNAME record for "+name)
		}
		return d
	}
	return domain("WebSocketDomain", o.Domain), domain("HTTPDomain", o.APIDomain)
}

func output(stack awscdk.Stack, name, value, description string) {
	awscdk.NewCfnOutput(stack, jsii.String(name), &awscdk.CfnOutputProps{
		Value:       jsii.String(value),
		Description: jsii.String(description),
	})
}
