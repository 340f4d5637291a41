package stack_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/config"
	"centrifuge/pkg/metrics"
)

func TestAlarms(t *testing.T) {
	want := map[string]string{
		"function-failures":       "Centrifuge/full FunctionFailures >= 1",
		"function-throttles":      "AWS/Lambda Throttles >= 1",
		"websocket-errors":        "AWS/ApiGateway ExecutionError of ${WEBSOCKET} >= 1",
		"websocket-refusals":      "AWS/ApiGateway IntegrationError of ${WEBSOCKET} >= 100",
		"websocket-client-errors": "AWS/ApiGateway ClientError of ${WEBSOCKET} >= 100",
		"http-errors":             "AWS/ApiGateway 5xx of ${HTTP} >= 1",
		"http-client-errors":      "AWS/ApiGateway 4xx of ${HTTP} >= 100",
		"delivery-failed":         "Centrifuge/full " + metrics.Failed + " >= 10",
		"delivery-slow":           "Centrifuge/full " + metrics.Slow + " >= 100",
		"dead-letters":            "AWS/SQS ApproximateNumberOfMessagesVisible of ${DeadLettersQueue.QueueName} >= 1",
	}
	tpl := load(t, "full")
	got := map[string]string{}
	for _, alarm := range tpl.of("AWS::CloudWatch::Alarm") {
		name := strings.TrimPrefix(alarm.at("AlarmName").(string), "centrifuge-full-")
		line, _ := alarmMetric(t, tpl, alarm)
		if alarm.at("ComparisonOperator") != "GreaterThanOrEqualToThreshold" || alarm.at("TreatMissingData") != "notBreaching" ||
			alarm.at("EvaluationPeriods") != 3.0 || alarm.at("DatapointsToAlarm") != 2.0 {
			t.Errorf("%s has another condition: %v", name, alarm.Properties)
		}
		got[name] = fmt.Sprintf("%s >= %v", line, alarm.at("Threshold"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// alarmMetric renders the metric of an alarm, and counts the metrics that are billed.
func alarmMetric(t *testing.T, tpl template, alarm resource) (line string, billed int) {
	t.Helper()
	name, period, statistic := alarm.at("MetricName"), alarm.at("Period"), alarm.at("Statistic")
	namespace, dimensions := alarm.at("Namespace"), alarm.at("Dimensions")
	billed = 1
	if many, ok := alarm.at("Metrics").([]any); ok {
		stat := at(many[0], "MetricStat")
		name, period, statistic = at(stat, "Metric", "MetricName"), at(stat, "Period"), at(stat, "Stat")
		namespace, dimensions = at(stat, "Metric", "Namespace"), at(stat, "Metric", "Dimensions")
		billed = len(many)
	}
	want := "Sum"
	if namespace == "AWS/SQS" {
		want = "Maximum"
	}
	if period != 300.0 || statistic != want {
		t.Errorf("%v is the %v over %v s", name, statistic, period)
	}
	line = fmt.Sprintf("%v %v", namespace, name)
	if list, ok := dimensions.([]any); ok {
		for _, d := range list {
			line += " of " + tpl.string(at(d, "Value"))
		}
	}
	return line, billed
}

func TestAlarmAddress(t *testing.T) {
	t.Run("with an address, every alarm notifies it", func(t *testing.T) {
		tpl := load(t, "full")
		subscription := tpl.one(t, "AWS::SNS::Subscription")
		topic := tpl.string(subscription.at("TopicArn"))
		if subscription.at("Protocol") != "email" || subscription.at("Endpoint") != "ops@example.com" {
			t.Errorf("the subscription is %v", subscription.Properties)
		}
		for id, alarm := range tpl.of("AWS::CloudWatch::Alarm") {
			for _, when := range []string{"AlarmActions", "OKActions"} {
				if diff := cmp.Diff([]string{topic}, tpl.strings(alarm.at(when))); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", id, when, diff)
				}
			}
		}
	})
	t.Run("without an address, no alarm has an action", func(t *testing.T) {
		tpl := load(t, "plain")
		for id, alarm := range tpl.of("AWS::CloudWatch::Alarm") {
			if alarm.at("AlarmActions") != nil || alarm.at("OKActions") != nil {
				t.Errorf("%s has actions", id)
			}
		}
		if n := len(tpl.of("AWS::SNS::Topic")); n != 0 {
			t.Errorf("%d topics, want 0", n)
		}
	})
}

func TestFunctionFailuresMetric(t *testing.T) {
	tpl := load(t, "full")
	logs := map[string]bool{}
	for id, filter := range tpl.of("AWS::Logs::MetricFilter") {
		want := []any{map[string]any{"MetricName": "FunctionFailures", "MetricNamespace": "Centrifuge/full", "MetricValue": "1"}}
		if diff := cmp.Diff(want, filter.at("MetricTransformations")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
		if got, want := filter.at("FilterPattern"), `?"ERROR" ?"Status: error" ?"Status: timeout"`; got != want {
			t.Errorf("%s looks for %v, want %v", id, got, want)
		}
		logs[references(filter.at("LogGroupName"))[0]] = true
	}
	for name, f := range tpl.functions(t) {
		// Failures of webhook are those of applications, and end in the dead-letter queue.
		if counted := logs[references(f.at("LoggingConfig"))[0]]; counted == (name == "webhook") {
			t.Errorf("failures of %s are counted: %v", name, counted)
		}
	}
}

// In an account with nothing else in it, alarms and dashboard cost nothing: ten alarm
// metrics are free, and dashboards of 50 metrics.
func TestMonitoringCost(t *testing.T) {
	tpl := load(t, "full")
	billed := 0
	for _, alarm := range tpl.of("AWS::CloudWatch::Alarm") {
		_, n := alarmMetric(t, tpl, alarm)
		billed += n
	}
	if billed != 10 {
		t.Errorf("alarms look at %d metrics, want 10", billed)
	}
	if n := len(shown(t, tpl)); n > 50 {
		t.Errorf("the dashboard shows %d metrics, want 50 or fewer", n)
	}
}

func TestDashboard(t *testing.T) {
	tpl := load(t, "full")
	metric := shown(t, tpl)

	t.Run("metrics of deliveries", func(t *testing.T) {
		for _, name := range []string{
			metrics.Messages, metrics.Deliveries, metrics.Gone, metrics.Slow, metrics.Failed, metrics.Errors,
		} {
			want(t, metric, "Centrifuge/full "+name, "Sum")
		}
		want(t, metric, "Centrifuge/full "+metrics.PublishLatency, "p50", "p99")
	})
	t.Run("connections and messages", func(t *testing.T) {
		want(t, metric, "AWS/ApiGateway ConnectCount ApiId ${WEBSOCKET}", "Sum")
		want(t, metric, "AWS/ApiGateway MessageCount ApiId ${WEBSOCKET}", "Sum")
	})
	t.Run("every function without a schedule", func(t *testing.T) {
		for name := range tpl.functions(t) {
			if name == "ping" {
				continue
			}
			want(t, metric, "AWS/Lambda Duration FunctionName ${"+name+"}", "p99")
			want(t, metric, "AWS/Lambda Errors FunctionName ${"+name+"}", "Sum")
		}
	})
	t.Run("the table", func(t *testing.T) {
		for _, name := range []string{
			"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents",
		} {
			want(t, metric, "AWS/DynamoDB "+name+" TableName ${Table}", "Sum")
		}
	})
	t.Run("the metrics of alarms", func(t *testing.T) {
		for _, alarm := range tpl.of("AWS::CloudWatch::Alarm") {
			line, _ := alarmMetric(t, tpl, alarm)
			if strings.HasPrefix(line, "AWS/SQS ") {
				want(t, metric, strings.Replace(line, " of ", " QueueName ", 1), "Maximum")
				continue
			}
			want(t, metric, strings.Replace(line, " of ", " ApiId ", 1), "Sum")
		}
	})
	t.Run("functions write to the namespace of the dashboard", func(t *testing.T) {
		got := map[string]any{}
		for name, f := range tpl.functions(t) {
			if namespace := f.at("Environment", "Variables", config.MetricsNamespace); namespace != nil {
				got[name] = namespace
			}
		}
		want := map[string]any{}
		for _, name := range []string{"auth", "subscribe", "unsubscribe", "broadcast", "disconnect", "message", "publish", "admin", "dispatch", "ping"} {
			want[name] = "Centrifuge/full"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func want(t *testing.T, metric map[string][]string, name string, statistics ...string) {
	t.Helper()
	if diff := cmp.Diff(statistics, metric[name]); diff != "" {
		t.Errorf("%s: statistics (-want +got):\n%s\namong %q", name, diff, slices.Sorted(maps.Keys(metric)))
	}
}

// shown returns the metrics of the dashboard with their dimensions, and the statistics
// of each.
func shown(t *testing.T, tpl template) map[string][]string {
	t.Helper()
	var body struct {
		Widgets []struct {
			Properties struct{ Metrics [][]any }
		}
	}
	if err := json.Unmarshal([]byte(tpl.string(tpl.one(t, "AWS::CloudWatch::Dashboard").at("DashboardBody"))), &body); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, widget := range body.Widgets {
		for _, m := range widget.Properties.Metrics {
			var words []string
			for _, word := range m[:len(m)-1] {
				words = append(words, word.(string))
			}
			name := strings.Join(words, " ")
			found[name] = append(found[name], at(m[len(m)-1], "stat").(string))
		}
	}
	return found
}

func TestMonitoringOptionFalse(t *testing.T) {
	for id, r := range load(t, "bare").Resources {
		switch service := strings.Split(r.Type, "::")[1]; {
		case service == "CloudWatch", service == "SNS", r.Type == "AWS::Logs::MetricFilter":
			t.Errorf("%s is a %s, want none", id, r.Type)
		}
	}
}
