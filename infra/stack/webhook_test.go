package stack_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/config"
	"centrifuge/pkg/eventbus"
)

func TestEventHooks(t *testing.T) {
	tpl := load(t, "plain")
	const queue = "${DeadLettersQueue.Arn}"
	t.Run("the rule invokes the function, undeliverable events go to the queue", func(t *testing.T) {
		rule := tpl.one(t, "AWS::Events::Rule")
		target := rule.at("Targets").([]any)[0]
		got := map[string]string{
			"bus": tpl.string(rule.at("EventBusName")), "pattern": text(t, tpl, rule.at("EventPattern")),
			"state": tpl.string(rule.at("State")), "target": tpl.string(at(target, "Arn")),
			"dead letters": tpl.string(at(target, "DeadLetterConfig", "Arn")),
		}
		want := map[string]string{
			"bus": "${EventsBus}", "pattern": `{detail-type: "disconnect","message","occupied","unsubscribe","vacated", source: "` + eventbus.Source + `"}`,
			"state": "ENABLED", "target": "${webhook.Arn}", "dead letters": queue,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := len(rule.at("Targets").([]any)); n != 1 {
			t.Errorf("%d targets, want 1", n)
		}
		if name := tpl.one(t, "AWS::Events::EventBus").at("Name"); name != "centrifuge-plain" {
			t.Errorf("the bus is %v", name)
		}
	})
	t.Run("only the rule may invoke the function", func(t *testing.T) {
		want := []string{"events.amazonaws.com may lambda:InvokeFunction for ${Eventswebhook.Arn}"}
		if diff := cmp.Diff(want, invokers(tpl, "webhook")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("functions know the bus and may put the events of what they do", func(t *testing.T) {
		bus, rights := map[string]string{}, map[string]string{}
		for name, f := range tpl.functions(t) {
			if value := f.at("Environment", "Variables", config.EventBus); value != nil {
				bus[name] = tpl.string(value)
			}
			for _, line := range grants(t, tpl, tpl.Resources[references(f.at("Role"))[0]]) {
				if strings.Contains(line, "events:") {
					rights[name] += line
				}
			}
		}
		wantBus, wantRights := map[string]string{}, map[string]string{}
		for name, types := range map[string]string{
			"auth": "disconnect occupied unsubscribe vacated", "subscribe": "disconnect occupied unsubscribe vacated",
			"unsubscribe": "disconnect unsubscribe vacated", "disconnect": "disconnect unsubscribe vacated",
			"broadcast": "disconnect message occupied unsubscribe vacated", "dispatch": "disconnect message occupied unsubscribe vacated",
			"message": "disconnect message occupied unsubscribe vacated", "publish": "disconnect message occupied unsubscribe vacated",
			"admin": "disconnect message occupied unsubscribe vacated",
		} {
			wantBus[name] = "${EventsBus}"
			wantRights[name] = `may events:PutEvents on ${EventsBus.Arn} if ` +
				`{ForAllValues:StringEquals: {events:detail-type: "` + strings.ReplaceAll(types, " ", `","`) + `", events:source: "` + eventbus.Source + `"}, ` +
				`Null: {events:detail-type: "false", events:source: "false"}}`
		}
		if diff := cmp.Diff(wantBus, bus); diff != "" {
			t.Errorf("environment (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(wantRights, rights); diff != "" {
			t.Errorf("rights (-want +got):\n%s", diff)
		}
	})
}

func TestHooksOptionFalse(t *testing.T) {
	tpl := load(t, "bare")
	for id, r := range tpl.Resources {
		if strings.HasPrefix(r.Type, "AWS::Events::") {
			t.Errorf("%s is a %s, want none", id, r.Type)
		}
	}
	for name, f := range tpl.functions(t) {
		if bus := f.at("Environment", "Variables", config.EventBus); bus != nil {
			t.Errorf("the environment of %s holds the bus %v", name, bus)
		}
	}
	for _, name := range []string{"EventBusName", "WebhookFunction"} {
		if output, ok := tpl.Outputs[name]; ok {
			t.Errorf("output %s is %v, want none", name, output.Value)
		}
	}
}
