package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/pkg/config"
)

// TestInvocations checks who may invoke the function dispatch, knows its name, and that
// nothing refers to it that it depends on.
func TestInvocations(t *testing.T) {
	for stage, publishers := range map[string][]string{
		"plain": {"admin", "broadcast", "dispatch", "message", "publish"},
		"bare":  {"broadcast", "dispatch", "message", "publish"},
	} {
		t.Run(stage, func(t *testing.T) {
			tpl := load(t, stage)
			name := "centrifuge-" + stage + "-" + functions.Dispatch
			if got := tpl.functions(t)[functions.Dispatch].at("FunctionName"); got != name {
				t.Errorf("the name is %v, want %s", got, name)
			}
			if got := tpl.string(tpl.Outputs["DispatchFunction"].Value); got != name {
				t.Errorf("the output is %s, want %s", got, name)
			}
			var known, may []string
			for function, f := range tpl.functions(t) {
				if value := f.at("Environment", "Variables", config.DispatchFunction); value != nil {
					known = append(known, function)
					if value != name {
						t.Errorf("%s invokes %v, want %s", function, value, name)
					}
				}
				for _, line := range grants(t, tpl, tpl.Resources[references(f.at("Role"))[0]]) {
					if strings.Contains(line, "lambda:") {
						may = append(may, function)
						if want := "may lambda:InvokeFunction on arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:" + name; line != want {
							t.Errorf("%s %s, want %s", function, line, want)
						}
					}
				}
			}
			slices.Sort(known)
			slices.Sort(may)
			if diff := cmp.Diff(publishers, known); diff != "" {
				t.Errorf("functions that know the name (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(publishers, may); diff != "" {
				t.Errorf("functions that may invoke it (-want +got):\n%s", diff)
			}
			if got := invokers(tpl, functions.Dispatch); got != nil {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestAsynchronousInvocations(t *testing.T) {
	for stage, want := range map[string]map[string]any{
		"plain": {"${dispatch}": 2.0, "${webhook}": 2.0},
		"full":  {"${dispatch}": 2.0, "${webhook}": 2.0}, // its function ping has no dead letters
		"bare":  {"${dispatch}": 2.0},
	} {
		tpl := load(t, stage)
		retries := map[string]any{}
		for _, r := range tpl.of("AWS::Lambda::EventInvokeConfig") {
			retries[tpl.string(r.at("FunctionName"))] = r.at("MaximumRetryAttempts")
		}
		if diff := cmp.Diff(want, retries); diff != "" {
			t.Errorf("%s: retries (-want +got):\n%s", stage, diff)
		}
		for name, f := range tpl.functions(t) {
			_, asynchronous := want["${"+name+"}"]
			if got := f.at("DeadLetterConfig", "TargetArn"); (got != nil) != asynchronous || got != nil && tpl.string(got) != "${DeadLettersQueue.Arn}" {
				t.Errorf("%s: the dead-letter queue of %s is %v", stage, name, got)
			}
			// Lambda stops other loops.
			if got := f.at("RecursiveLoop"); (got == "Allow") != (name == functions.Dispatch) {
				t.Errorf("%s: %s has the recursive loop %v", stage, name, got)
			}
		}
	}
}

func TestDeadLetterQueue(t *testing.T) {
	tpl := load(t, "plain")
	queue := tpl.one(t, "AWS::SQS::Queue")
	want := map[string]any{"MessageRetentionPeriod": 14.0 * 24 * 60 * 60, "SqsManagedSseEnabled": true}
	if diff := cmp.Diff(want, queue.Properties); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if queue.DeletionPolicy != "Delete" {
		t.Errorf("the deletion policy is %s", queue.DeletionPolicy)
	}
	policy := tpl.one(t, "AWS::SQS::QueuePolicy")
	wantPolicy := []string{
		`{AWS: "*"} may not sqs:* on ${DeadLettersQueue.Arn} if {Bool: {aws:SecureTransport: "false"}}`,
		`{Service: "events.amazonaws.com"} may sqs:SendMessage on ${DeadLettersQueue.Arn} if {ArnEquals: {aws:SourceArn: "${Eventswebhook.Arn}"}}`,
	}
	if diff := cmp.Diff(wantPolicy, grants(t, tpl, policy)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
