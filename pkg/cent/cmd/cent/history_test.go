package main

import (
	"regexp"
	"strings"
	"testing"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// The parts of the output of history that differ between runs, besides those of stableText.
var (
	epoch        = regexp.MustCompile(`\b[0-9a-f]{24}\b`)
	publishedAt  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	milliseconds = regexp.MustCompile(`"time":\d+`)
)

func stableHistory(text string) string {
	text = publishedAt.ReplaceAllString(stableText(text), "2026-01-02T03:04:05Z")
	return epoch.ReplaceAllString(milliseconds.ReplaceAllString(text, `"time":TIME`), "EPOCH")
}

func TestHistoryCommands(t *testing.T) {
	env := environment(stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"name": "chat",`, `"name": "chat", "history_size": 3, "history_ttl": "1h",`)}))
	position := regexp.MustCompile(`top: \d+@(\w+)`)
	var of string // the epoch of the stream
	for _, step := range []struct {
		name string
		args []string
		code int
	}{
		{"history-of-none", []string{"history", "chat:log"}, 0},
		{"publish-stream", []string{"publish", "chat:log", `{"text":"<one>"}`}, 0},
		{"publish-stream-tags", []string{"publish", "chat:log", `2`, "--tag", "kind=x", "--tag", "area=a=b,c", "--json"}, 0},
		{"publish-stream-skip-history", []string{"publish", "chat:log", `"skipped"`, "--skip-history"}, 0},
		{"publish-stream-version", []string{"publish", "chat:log", `3`, "--message-version", "7", "--message-version-epoch", "v"}, 0},
		{"publish-stream-version-again", []string{"publish", "chat:log", `4`, "--message-version", "7", "--message-version-epoch", "v"}, 0},
		{"publish-stream-refused", []string{"publish", "news:all", `1`, "--message-version", "7"}, 1},
		{"broadcast-stream", []string{"broadcast", "-d", `5`, "chat:log", "chat:other", "news:all"}, 0},
		{"history", []string{"history", "chat:log"}, 0},
		{"history-limit", []string{"history", "chat:log", "--limit", "1"}, 0},
		{"history-position", []string{"history", "chat:log", "--limit", "0"}, 0},
		{"history-reverse", []string{"history", "chat:log", "--limit=-1", "--reverse"}, 0},
		{"history-since", []string{"history", "chat:log", "--since", "3@EPOCH"}, 0},
		{"history-since-any-epoch", []string{"history", "chat:log", "--since", "3"}, 0},
		{"history-before", []string{"history", "chat:log", "--since", "4@EPOCH", "--reverse", "--limit", "1"}, 0},
		{"history-json", []string{"history", "chat:log", "--json", "--since", "1@EPOCH", "--limit", "1"}, 0},
		{"history-json-of-none", []string{"history", "chat:none", "--json"}, 0},
		{"history-former-epoch", []string{"history", "chat:log", "--since", "3@former"}, 1},
		{"history-no-position", []string{"history", "chat:log", "--since", "three@EPOCH"}, 2},
		{"history-unavailable", []string{"history", "news:all"}, 1},
		{"history-unknown-category", []string{"history", "nowhere:x"}, 1},
		{"history-remove", []string{"history-remove", "chat:log"}, 0},
		{"history-removed", []string{"history", "chat:log"}, 0},
		{"history-remove-unavailable", []string{"history-remove", "news:all"}, 1},
	} {
		t.Run(step.name, func(t *testing.T) {
			args := strings.Split(strings.ReplaceAll(strings.Join(step.args, "\n"), "EPOCH", of), "\n")
			r := invoke(t, env, "", args...)
			if r.code != step.code {
				t.Errorf("exit code %d, expected %d", r.code, step.code)
			}
			if at := position.FindStringSubmatch(r.stdout); at != nil {
				of = at[1]
			}
			golden(t, "output/"+step.name+".txt", stableHistory("$ cent "+strings.Join(step.args, " ")+"\n"+r.stdout+r.stderr))
		})
		if step.name == "broadcast-stream" {
			of = position.FindStringSubmatch(invoke(t, env, "", "history", "chat:log", "--limit", "0").stdout)[1]
		}
	}
}
