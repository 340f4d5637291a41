package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/infra/construct"
	"centrifuge/pkg/metrics"
)

// failures is the metric of log lines that report an error of a function.
const failures = "FunctionFailures"

// namespace is that of the stack's own metrics.
func namespace(o Options) string { return "Centrifuge/" + o.Stage }

// monitoring is what alarms and dashboard look at.
type monitoring struct {
	resources
	namespace string
	// functions are those in the graphs, in their order: all but one with a schedule. alarmed are
	// those whose failures have an alarm: the others' failures are those of applications.
	functions, alarmed []*construct.Function
}

// own is a metric of package metrics, or failures.
func (m monitoring) own(name, statistic string) awscloudwatch.Metric {
	return construct.Metric(m.namespace, name, statistic)
}

// alarms makes the alarms. An alarm costs $0.10 a month for each metric that it looks
// at, also for each metric of an expression, and an account has ten free of charge.
// So there are ten. For this reason no alarm looks at a single function or a single
// DynamoDB operation. The table needs no alarm of its own: a request that DynamoDB
// throttles or fails until the SDK gives up makes the function log an error. So does a
// dispatch that did not reach all subscribers: metrics.Errors is on the dashboard only.
//
// The dead-letter queue needs one. Counted with the other functions, failures of webhooks
// would hide those of Centrifuge. And an event that failed in every attempt within five
// minutes would not set off an alarm that needs two periods.
func (m monitoring) alarms(scope constructs.Construct, prefix, email string) *construct.Alarms {
	a := construct.NewAlarms(scope, jsii.String("Alarms"), &construct.AlarmsProps{Prefix: prefix, Email: email})

	for _, f := range m.alarmed {
		f.CountFailures(m.namespace, failures)
	}
	a.Add("function-failures", "A function failed, timed out or logged an error, such as a message that did not reach all subscribers. Its log shows the cause.",
		1, m.own(failures, construct.Sum))
	// The metric of the account: functions are throttled when all functions of the
	// account together reach its quota.
	a.Add("function-throttles", "Lambda throttled functions of this account and region: the quota of concurrent executions is used up.",
		1, construct.Metric("AWS/Lambda", "Throttles", construct.Sum))

	a.Add("websocket-errors", "API Gateway could not invoke the function behind a route of the WebSocket API.",
		1, m.webSocket.Metric("ExecutionError", construct.Sum))
	// A handshake with an origin that its project does not list counts here.
	a.Add("websocket-refusals", "Functions refuse many handshakes because of their origin or project, or functions fail.",
		100, m.webSocket.Metric("IntegrationError", construct.Sum))
	a.Add("websocket-client-errors", "API Gateway refuses many frames or handshakes: they are malformed or throttled.",
		100, m.webSocket.Metric("ClientError", construct.Sum))
	a.Add("http-errors", "Requests to the HTTP API failed with 5xx.",
		1, m.http.Metric("5xx", construct.Sum))
	a.Add("http-client-errors", "Many requests to the HTTP API are refused with 4xx: wrong keys, unknown paths or throttled.",
		100, m.http.Metric("4xx", construct.Sum))

	a.Add("delivery-failed", "Posts to connections failed in every attempt.",
		10, m.own(metrics.Failed, construct.Sum))
	a.Add("delivery-slow", "Many posts were given up: clients read slowly, or the account reached API Gateway's quota of requests.",
		100, m.own(metrics.Slow, construct.Sum))

	a.Add("dead-letters", "The dead-letter queue holds events: a webhook did not accept them, or dispatch or webhook failed. Each has its error as an attribute.",
		1, m.deadLetters.Waiting())
	return a
}

// dashboard makes the dashboard. An account has three dashboards of at most 50
// metrics free of charge. Any other costs $3 a month.
func (m monitoring) dashboard(scope constructs.Construct, name string, alarms *construct.Alarms) *construct.Dashboard {
	d := construct.NewDashboard(scope, jsii.String("Dashboard"), &construct.DashboardProps{Name: name})
	graph := func(title string, shown ...awscloudwatch.IMetric) construct.Graph {
		return construct.Graph{Title: title, Metrics: shown}
	}
	each := func(metric, statistic string) (all []awscloudwatch.IMetric) {
		for _, f := range m.functions {
			all = append(all, f.Metric(metric, statistic))
		}
		return all
	}

	d.Alarms(alarms)
	d.Row(
		graph("Connections opened", m.webSocket.Metric("ConnectCount", construct.Sum)),
		graph("Messages and HTTP requests in", m.own(metrics.Messages, construct.Sum), m.http.Metric("Count", construct.Sum)),
		graph("Frames in and out, as API Gateway bills them", m.webSocket.Metric("MessageCount", construct.Sum)),
	)
	d.Row(
		graph("Deliveries", m.own(metrics.Deliveries, construct.Sum)),
		graph("Not delivered", m.own(metrics.Gone, construct.Sum), m.own(metrics.Slow, construct.Sum),
			m.own(metrics.Failed, construct.Sum), m.own(metrics.Errors, construct.Sum)),
		graph("From publish to the last post, ms", m.own(metrics.PublishLatency, construct.P50), m.own(metrics.PublishLatency, construct.P99)),
	)
	d.Row(
		graph("Errors of the WebSocket API", m.webSocket.Metric("ExecutionError", construct.Sum),
			m.webSocket.Metric("IntegrationError", construct.Sum), m.webSocket.Metric("ClientError", construct.Sum)),
		graph("Errors of the HTTP API", m.http.Metric("5xx", construct.Sum), m.http.Metric("4xx", construct.Sum)),
		graph("Dead letters", m.deadLetters.Waiting()),
	)
	d.Row(
		graph("Duration of functions, ms", each("Duration", construct.P99)...),
		graph("Errors of functions", append(each("Errors", construct.Sum), m.own(failures, construct.Sum))...),
		graph("Concurrent functions of the account", construct.Metric("AWS/Lambda", "ConcurrentExecutions", construct.Maximum),
			construct.Metric("AWS/Lambda", "Throttles", construct.Sum)),
	)
	d.Row(
		graph("Read units", m.table.Metrics("ConsumedReadCapacityUnits", construct.Sum)...),
		graph("Write units", m.table.Metrics("ConsumedWriteCapacityUnits", construct.Sum)...),
		// Few requests read the index, and the dashboard has all metrics that are free.
		graph("Throttled by DynamoDB", append(m.table.Metrics("WriteThrottleEvents", construct.Sum), m.table.Metric("ReadThrottleEvents", construct.Sum))...),
	)
	return d
}
