package stack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/pkg/config"
)

func TestPings(t *testing.T) {
	tpl := load(t, "full")
	name := "centrifuge-full-" + functions.Ping
	rules := map[string]map[string]any{}
	for id, r := range tpl.of("AWS::Events::Rule") {
		if r.at("ScheduleExpression") != nil {
			rules[tpl.name(id)] = r.Properties
		}
	}
	want := map[string]map[string]any{"pingSchedule": {
		"ScheduleExpression": "cron(* * * * ? *)", "State": "ENABLED",
		"Targets": []any{map[string]any{
			"Arn": map[string]any{"Fn::GetAtt": []any{references(rules["pingSchedule"]["Targets"])[0], "Arn"}}, "Id": "Target0",
			"RetryPolicy": map[string]any{"MaximumEventAgeInSeconds": 60.0},
		}},
	}}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("schedules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"events.amazonaws.com may lambda:InvokeFunction for ${pingSchedule.Arn}"}, invokers(tpl, functions.Ping)); diff != "" {
		t.Errorf("invokers (-want +got):\n%s", diff)
	}
	if got := tpl.functions(t)[functions.Ping].at("FunctionName"); got != name {
		t.Errorf("the name is %v, want %s", got, name)
	}
	known := map[string]any{}
	for function, f := range tpl.functions(t) {
		if value := f.at("Environment", "Variables", config.PingFunction); value != nil {
			known[function] = value
		}
	}
	if diff := cmp.Diff(map[string]any{"message": name, "admin": name, "ping": name}, known); diff != "" {
		t.Errorf("functions that know that pings are sent (-want +got):\n%s", diff)
	}
}

func TestPingsOptionFalse(t *testing.T) {
	tpl := load(t, "plain")
	for id, r := range tpl.of("AWS::Events::Rule") {
		if schedule := r.at("ScheduleExpression"); schedule != nil {
			t.Errorf("%s has the schedule %v", id, schedule)
		}
	}
	for function, f := range tpl.functions(t) {
		if value := f.at("Environment", "Variables", config.PingFunction); value != nil {
			t.Errorf("%s knows %v", function, value)
		}
	}
}
