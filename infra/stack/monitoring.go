package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/infra/construct"
	"centrifuge/pkg/metrics"
)

// failures counts the lines of the functions' logs that tell of an error.
const failures = "FunctionFailures"

// namespace is that of the stack's own metrics.
func namespace(o Options) string { return "Centrifuge/" + o.Stage }

// watched is what alarms and dashboard look at.
type watched struct {
	namespace string
	surroundings
	// functions are in the order in which graphs show them.
	functions []*construct.Function
	// hook is the one of them whose failures are those of somebody's webhook, nil
	// without hooks.
	hook *construct.Function
}

// own is a metric of package metrics, or failures.
func (w watched) own(name, statistic string) awscloudwatch.Metric {
	return construct.Metric(w.namespace, name, statistic)
}

// alarms makes the alarms. Each metric that an alarm looks at costs $0.10 a month,
// those in an expression one by one, and an account has ten for nothing. So there
// are ten, and one more with event hooks. For that reason nothing is watched
// function by function or operation by operation, and the table only where it
// matters: requests that DynamoDB throttled or failed for longer than the SDK tried
// make the function log an error.
//
// The alarm for event hooks has no equal among the ten. Counting the failures of
// their function with the others' would hide real ones behind webhooks that are
// down, and miss what failed three times within five minutes and is lost.
func (w watched) alarms(scope constructs.Construct, prefix, email string) *construct.Alarms {
	a := construct.NewAlarms(scope, jsii.String("Alarms"), &construct.AlarmsProps{Prefix: prefix, Email: email})

	for _, f := range w.functions {
		if f != w.hook {
			f.CountFailures(w.namespace, failures)
		}
	}
	a.Add("function-failures", "A function failed, ran out of time or logged an error, as it does when DynamoDB refuses. Its log says why.",
		1, w.own(failures, construct.Sum))
	// The account's and not the functions': they are throttled when all functions of
	// the account together are at its quota.
	a.Add("function-throttles", "Lambda refused to run functions of this account and region: its quota of concurrent executions is used up.",
		1, construct.Metric("AWS/Lambda", "Throttles", construct.Sum))

	a.Add("websocket-errors", "API Gateway could not call the function behind a route of the WebSocket API.",
		1, w.socket.Metric("ExecutionError", construct.Sum))
	// Every handshake that a project's origins do not allow counts here.
	a.Add("websocket-refusals", "Functions refuse many handshakes, because of their origin or project, or fail.",
		100, w.socket.Metric("IntegrationError", construct.Sum))
	a.Add("websocket-client-errors", "API Gateway refuses many frames or handshakes before any function sees them: they are malformed or too many.",
		100, w.socket.Metric("ClientError", construct.Sum))
	a.Add("http-errors", "Requests of applications failed with 5xx.",
		1, w.api.Metric("5xx", construct.Sum))
	a.Add("http-client-errors", "Many requests to the HTTP API are refused with 4xx: wrong keys, unknown paths or too many.",
		100, w.api.Metric("4xx", construct.Sum))

	a.Add("delivery-errors", "Messages did not reach all subscribers, because these could not be read.",
		1, w.own(metrics.Errors, construct.Sum))
	a.Add("delivery-failed", "Posts to connections failed in every attempt.",
		10, w.own(metrics.Failed, construct.Sum))
	a.Add("delivery-slow", "Many posts were given up: clients are slow, or the account is at API Gateway's quota of requests.",
		100, w.own(metrics.Slow, construct.Sum))

	if w.dead != nil {
		a.Add("dead-letters", "Event hooks wait in the dead-letter queue, each with its error: their webhook did not take them, or their function failed.",
			1, w.dead.Waiting())
	}
	return a
}

// dashboard makes the dashboard. An account has three for nothing, of at most 50
// metrics each; every other one costs $3 a month.
func (w watched) dashboard(scope constructs.Construct, name string, alarms *construct.Alarms) *construct.Dashboard {
	d := construct.NewDashboard(scope, jsii.String("Dashboard"), &construct.DashboardProps{Name: name})
	graph := func(title string, m ...awscloudwatch.IMetric) construct.Graph {
		return construct.Graph{Title: title, Metrics: m}
	}
	each := func(metric, statistic string) (all []awscloudwatch.IMetric) {
		for _, f := range w.functions {
			all = append(all, f.Metric(metric, statistic))
		}
		return all
	}

	d.Alarms(alarms)
	d.Row(
		graph("Connections opened", w.socket.Metric("ConnectCount", construct.Sum)),
		graph("Messages and HTTP requests in", w.own(metrics.Messages, construct.Sum), w.api.Metric("Count", construct.Sum)),
		graph("Frames in and out, as API Gateway bills them", w.socket.Metric("MessageCount", construct.Sum)),
	)
	d.Row(
		graph("Deliveries", w.own(metrics.Deliveries, construct.Sum)),
		graph("Not delivered", w.own(metrics.Gone, construct.Sum), w.own(metrics.Slow, construct.Sum),
			w.own(metrics.Failed, construct.Sum), w.own(metrics.Errors, construct.Sum)),
		graph("From publish to the last post, ms", w.own(metrics.PublishLatency, construct.P50), w.own(metrics.PublishLatency, construct.P99)),
	)
	errors := []construct.Graph{
		graph("Errors of the WebSocket API", w.socket.Metric("ExecutionError", construct.Sum),
			w.socket.Metric("IntegrationError", construct.Sum), w.socket.Metric("ClientError", construct.Sum)),
		graph("Errors of the HTTP API", w.api.Metric("5xx", construct.Sum), w.api.Metric("4xx", construct.Sum)),
	}
	if w.dead != nil {
		errors = append(errors, graph("Dead letters of event hooks", w.dead.Waiting()))
	}
	d.Row(errors...)
	d.Row(
		graph("Duration of functions, ms", each("Duration", construct.P99)...),
		graph("Errors of functions", append(each("Errors", construct.Sum), w.own(failures, construct.Sum))...),
		graph("Functions of the account at once", construct.Metric("AWS/Lambda", "ConcurrentExecutions", construct.Maximum),
			construct.Metric("AWS/Lambda", "Throttles", construct.Sum)),
	)
	d.Row(
		graph("Read units", w.table.Metrics("ConsumedReadCapacityUnits", construct.Sum)...),
		graph("Write units", w.table.Metrics("ConsumedWriteCapacityUnits", construct.Sum)...),
		graph("Throttled by DynamoDB", append(w.table.Metrics("ReadThrottleEvents", construct.Sum), w.table.Metrics("WriteThrottleEvents", construct.Sum)...)...),
	)
	return d
}
