// Package stack is Centrifuge on AWS, to be read as a drawing of its
// architecture: a table, a WebSocket API for clients, an HTTP API for applications
// and admins, a function behind each route, a bus that takes messages to event
// hooks, and alarms and a dashboard that watch them.
//
// How a function or a table is made well is in package construct. The names that
// stack and code share are constants of pkg/config and pkg/store/schema. The stack
// names neither account nor region: it synthesizes offline, and the same template
// fits wherever it is deployed.
package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/infra/construct"
	"centrifuge/pkg/store/schema"
)

// An account has 10,000 requests a second (5,000 at once) for all its APIs
// together, posts to connections included. What clients and applications may take
// of it is limited, so that the larger part is left for delivering.
var (
	clients      = construct.Throttle{Rate: 2000, Burst: 1000}
	applications = construct.Throttle{Rate: 1000, Burst: 500}
)

// messages are the events that functions put on the bus: what was published in
// categories with hooks.
var messages = construct.Events{Source: "centrifuge", DetailType: "message"}

// New makes the stack centrifuge-<stage>. It fails when a function has not been
// built.
func New(scope constructs.Construct, o Options) (awscdk.Stack, error) {
	for _, f := range deployed(o) {
		if err := f.built(o); err != nil {
			return nil, err
		}
	}

	name := "centrifuge-" + o.Stage
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
	domain, apiDomain := domains(stack, o)
	socket := construct.NewWebSocket(stack, jsii.String("WebSocket"), &construct.WebSocketProps{
		Name:           name,
		Stage:          o.Stage,
		RouteSelection: "$request.body.method",
		Throttle:       clients,
		Domain:         domain,
	})
	api := construct.NewHTTPAPI(stack, jsii.String("HTTP"), &construct.HTTPAPIProps{
		Name:     name,
		Throttle: applications,
		Domain:   apiDomain,
	})

	around := surroundings{table: table, socket: socket, api: api}
	if o.Admin {
		around.password = construct.NewSecret(stack, jsii.String("AdminPassword"), &construct.SecretProps{
			Name: name + "/admin", Description: "The password of the admin pages of " + name,
		})
	}
	if o.Hooks {
		around.bus = construct.NewBus(stack, jsii.String("Events"), &construct.BusProps{Name: name})
		around.dead = construct.NewDeadLetters(stack, jsii.String("DeadLetters"))
	}

	lambda := map[string]*construct.Function{}
	for _, f := range deployed(o) {
		lambda[f.name] = f.deploy(stack, o, around)
	}

	socket.OneWay("$connect", lambda["connect"])
	socket.TwoWay("auth", lambda["auth"])
	socket.TwoWay("subscribe", lambda["subscribe"])
	socket.TwoWay("unsubscribe", lambda["unsubscribe"])
	socket.TwoWay("broadcast", lambda["broadcast"])
	socket.TwoWay("$default", lambda["message"])
	socket.OneWay("$disconnect", lambda["disconnect"])

	api.Route(lambda["publish"], "POST /api/{proxy+}", "POST /rpc/{project}", "GET /api/openapi.json", "GET /healthz")
	if o.Admin {
		// {proxy+} takes "/admin/" as well; a route cannot end in a slash.
		api.Route(lambda["admin"], "GET /admin", "ANY /admin/{proxy+}")
		output(stack, "AdminURL", api.URL()+"/admin/", "The admin pages")
		output(stack, "AdminSecretName", around.password.Name(),
			"Where their password is: aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+around.password.Name())
	}
	if o.Demo {
		api.Route(lambda["demo"], "GET /demo", "ANY /demo/{proxy+}")
		output(stack, "DemoURL", api.URL()+"/demo/", "The example application")
	}

	if o.Hooks {
		around.bus.Invoke(lambda["webhook"], messages, around.dead)
		output(stack, "EventBusName", around.bus.Name(), "The event bus with the messages of categories with hooks")
		output(stack, "DeadLetterQueueURL", around.dead.URL(), "The queue of those that no webhook took")
	}

	if o.Monitoring {
		watch := watched{namespace: namespace(o), surroundings: around, hook: lambda["webhook"]}
		for _, f := range deployed(o) {
			watch.functions = append(watch.functions, lambda[f.name])
		}
		alarms := watch.alarms(stack, name, o.Alarms)
		output(stack, "DashboardURL", watch.dashboard(stack, name, alarms).URL(), "The dashboard, in the console")
	}

	output(stack, "WebSocketURL", socket.URL(), "Where clients connect")
	output(stack, "HTTPURL", api.URL(), "Where applications publish")
	output(stack, "ManagementURL", socket.ManagementURL(), "The base of the management API, @connections")
	output(stack, "TableName", table.Name(), "The table with all state")
	return stack, nil
}

// domains makes the host names of the WebSocket API and of the HTTP API, nil where
// none are wanted.
func domains(stack awscdk.Stack, o Options) (websocket, http *construct.Domain) {
	if o.Domain == "" {
		return nil, nil
	}
	domain := func(id, name string) *construct.Domain {
		d := construct.NewDomain(stack, jsii.String(id), &construct.DomainProps{
			Name: name, Certificate: o.Certificate, Zone: o.Zone,
		})
		if o.Zone == "" {
			output(stack, id+"Target", d.Target(), "What a CNAME record for "+name+" has to point at")
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
