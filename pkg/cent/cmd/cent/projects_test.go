package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// manifestEnvironment starts a stack with a project that has options.
func manifestEnvironment(t *testing.T) map[string]string {
	t.Helper()
	seed := `{"projects": [{"id": "demo", "name": "demo", "secret": "s", "api_keys": ["k"],
		"options": {"allow_md5": true, "origins": ["https://a.example", "https://b.example"]},
		"categories": [{"name": "chat", "bidirectional": true, "presence": true, "shards": 2}, {"name": "news"}]}]}`
	return environment(stacktest.Start(t, stack.Options{Seed: []byte(seed)}))
}

// generated is what differs between runs: secrets, keys, and the fingerprints and times
// of keys, which YAML quotes where they look like numbers.
var generated = regexp.MustCompile(`(?m)(secret:  |^secret: |valid until: |API key: |"(?:secret|previous_secret_until|api_key|fingerprint|created)":"|fingerprint: |created: |previous_secret_until: )"?[A-Za-z0-9:_-]+(?:"$)?`)

func TestProjectsAndCategories(t *testing.T) {
	env := manifestEnvironment(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := write("changed.yaml", `
# An existing project and a new one.
id: demo
name: "Demo: the \"first\""
options:
  origins: [https://a.example, https://c.example]
  validate_url: https://a.example/validate
categories:
  - {name: chat, bidirectional: true, shards: 2}
  - name: "50 $ / ä"
    private: true
---
id: "66e512345678901234567890"
categories: [{name: x}]
`)
	categories := write("categories.json", `[{"name":"chat","bidirectional":true,"shards":2},{"name":"fresh","hooks":true}]`)
	for _, step := range []struct {
		name  string
		stdin string
		args  []string
		code  int
	}{
		{"projects-list", "", []string{"projects", "list"}, 0},
		{"projects-list-json", "", []string{"projects", "list", "--json"}, 0},
		{"projects-get", "", []string{"projects", "get"}, 0},
		{"projects-get-json", "", []string{"projects", "get", "demo", "--json"}, 0},
		{"projects-get-absent", "", []string{"projects", "get", "demo", "absent"}, 1},
		{"categories-list", "", []string{"categories", "list", "demo"}, 0},
		{"categories-list-json", "", []string{"categories", "list", "demo", "--json"}, 0},
		{"categories-get", "", []string{"categories", "get", "demo"}, 0},
		{"categories-get-one", "", []string{"categories", "get", "demo", "chat"}, 0},
		{"categories-get-absent", "", []string{"categories", "get", "demo", "absent"}, 1},

		{"apply-dry-run", "", []string{"projects", "apply", "--dry-run", changed}, 4},
		{"apply-dry-run-json", "", []string{"projects", "apply", "--dry-run", "--json", "--prune", changed}, 4},
		{"apply-declined", "", []string{"projects", "apply", changed}, 1}, // the terminal has no input
		{"apply-unasked", "x", []string{"projects", "apply", changed}, 2},
		{"apply", "", []string{"projects", "apply", "--yes", changed}, 0},
		{"apply-again", "", []string{"projects", "apply", "--dry-run", changed}, 0},
		{"apply-prune-json", "", []string{"projects", "apply", "--yes", "--json", "--prune", changed}, 0},
		{"apply-json-creates", `{"id":"made","name":"Made","options":{}}`, []string{"projects", "apply", "-y", "--json", "-"}, 0},
		{"projects-get-several", "", []string{"projects", "get"}, 0},

		{"categories-apply-dry-run", "", []string{"categories", "apply", "demo", categories, "--dry-run", "--prune"}, 4},
		{"categories-apply", "", []string{"categories", "apply", "demo", categories, "--yes"}, 0},
		{"categories-apply-again", "", []string{"categories", "apply", "demo", categories, "--yes"}, 0},
		{"categories-apply-fewer-shards", `[{"name":"fresh","hooks":false},{"name":"chat"}]`, []string{"categories", "apply", "demo", "-", "--yes"}, 2},
		{"categories-apply-absent", "", []string{"categories", "apply", "absent", categories, "--yes"}, 1},
		{"categories-apply-unnamed", `[{"name":"","presence":true}]`, []string{"categories", "apply", "demo", "-", "--yes"}, 0},
		{"categories-apply-unnamed-json", `{"name":"","join_leave":true}`, []string{"categories", "apply", "demo", "-", "--dry-run", "--json"}, 4},
		{"categories-get-unnamed", "", []string{"categories", "get", "demo", ""}, 0},
		{"categories-list-unnamed", "", []string{"categories", "list", "demo"}, 0},
		{"categories-delete-unnamed", "", []string{"categories", "delete", "demo", "", "--yes"}, 0},
		{"categories-delete-unnamed-absent", "", []string{"categories", "delete", "demo", ""}, 1},
		{"categories-delete-unasked", "x", []string{"categories", "delete", "demo", "chat"}, 2},
		{"categories-delete", "", []string{"categories", "delete", "demo", "chat", "--yes"}, 0},
		{"categories-delete-absent", "", []string{"categories", "delete", "demo", "chat"}, 1},
		{"rotate-unasked", "x", []string{"projects", "rotate-secret", "demo"}, 2},
		{"rotate-too-long", "", []string{"projects", "rotate-secret", "demo", "-y", "--keep", "721h"}, 1},
		{"rotate-absent", "", []string{"projects", "rotate-secret", "absent", "-y"}, 1},
		{"rotate-now-json", "", []string{"projects", "rotate-secret", "demo", "-y", "--json"}, 0},
		{"rotate", "", []string{"projects", "rotate-secret", "demo", "-y", "--keep", "24h"}, 0},
		{"rotate-json", "", []string{"projects", "rotate-secret", "demo", "-y", "--keep", "24h", "--json"}, 0},
		{"projects-get-rotated", "", []string{"projects", "get", "demo"}, 0},

		{"projects-delete-unasked", "x", []string{"projects", "delete", "made"}, 2},
		{"projects-delete", "", []string{"projects", "delete", "made", "-y", "--json"}, 0},
		{"projects-delete-absent", "", []string{"projects", "delete", "made"}, 1},
	} {
		t.Run(step.name, func(t *testing.T) {
			r := invoke(t, env, step.stdin, step.args...)
			if r.code != step.code {
				t.Errorf("exit code %d, expected %d", r.code, step.code)
			}
			text := "$ cent " + strings.Join(step.args, " ") + "\n" + r.stdout + r.stderr
			golden(t, "manifest/"+step.name+".txt", generated.ReplaceAllString(strings.ReplaceAll(text, dir+"/", ""), "${1}GENERATED"))
		})
	}
	t.Run("applying the output of get changes nothing", func(t *testing.T) {
		for _, form := range [][]string{nil, {"--json"}} {
			got := invoke(t, env, "", append([]string{"projects", "get"}, form...)...)
			if r := invoke(t, env, got.stdout, "projects", "apply", "--dry-run", "--prune", "-"); r != (result{0, "nothing to do\n", ""}) {
				t.Errorf("%+v of\n%s", r, got.stdout)
			}
			got = invoke(t, env, "", append([]string{"categories", "get", "demo"}, form...)...)
			if r := invoke(t, env, got.stdout, "categories", "apply", "--dry-run", "--prune", "demo", "-"); r != (result{0, "nothing to do\n", ""}) {
				t.Errorf("%+v of\n%s", r, got.stdout)
			}
		}
	})
}

// answering runs the program on a terminal with typed input.
func answering(t *testing.T, env map[string]string, typed string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), world{args: args, stdin: strings.NewReader(typed), terminal: true, stdout: &stdout, stderr: &stderr, outTerminal: true,
		getenv: func(name string) string { return env[name] }, now: time.Now, backOff: time.Millisecond})
	return result{code, stdout.String(), stderr.String()}
}

func TestConfirmation(t *testing.T) {
	env := manifestEnvironment(t)
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("id: demo\nname: Demo\ncategories:\n  - name: new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, typed string
		args        []string
		code        int
		message     string
	}{
		{"no", "n\n", []string{"projects", "apply", file}, 1, "Make these 2 changes? [y/N] cent: nothing was changed"},
		{"nothing", "", []string{"projects", "apply", file}, 1, "nothing was changed"},
		{"another id", "Demo\n", []string{"projects", "delete", "demo"}, 1, "Type its id to continue: cent: nothing was changed"},
		{"yes", "yes\n", []string{"projects", "apply", file}, 0, ""},
		{"no to a rotation", "n\n", []string{"projects", "rotate-secret", "demo", "--keep", "1h"}, 1, "This replaces the secret of project demo and ends the present one in 1h0m0s. Continue? [y/N] cent: nothing was changed"},
		{"y to a rotation", "y\n", []string{"projects", "rotate-secret", "demo"}, 0, "This replaces the secret of project demo and ends the present one now. Continue? [y/N] "},
		{"y to a category", "y\n", []string{"categories", "delete", "demo", "new"}, 0, "This deletes category demo:new. Continue? [y/N] "},
		{"the id", "demo\n", []string{"projects", "delete", "demo"}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := answering(t, env, tt.typed, tt.args...); r.code != tt.code || !strings.Contains(r.stderr, tt.message) {
				t.Errorf("%+v, expected exit code %d and %q", r, tt.code, tt.message)
			}
		})
	}
	if r := invoke(t, env, "", "projects", "list"); r.stdout != "PROJECT  NAME  CATEGORIES\n" {
		t.Errorf("remaining: %+v", r)
	}
}

func TestDiffColours(t *testing.T) {
	env := manifestEnvironment(t)
	for _, tt := range []struct {
		name     string
		set      map[string]string
		coloured bool
	}{
		{"a terminal", nil, true},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, false},
		{"a terminal without colours", map[string]string{"TERM": "dumb"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := map[string]string{}
			for _, from := range []map[string]string{env, tt.set} {
				for name, value := range from {
					changed[name] = value
				}
			}
			file := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(file, []byte(`{"id":"demo","name":"other"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			r := answering(t, changed, "", "projects", "apply", "--dry-run", file)
			if r.code != 4 || strings.Contains(r.stdout, "\x1b[31m- name: demo\x1b[0m\n") != tt.coloured ||
				strings.Contains(r.stdout, "\x1b[32m+ name: other\x1b[0m\n") != tt.coloured || strings.Contains(r.stdout, "\x1b") != tt.coloured {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestApplyRefused applies files of which the last part is refused: nothing is applied.
func TestApplyRefused(t *testing.T) {
	env := manifestEnvironment(t)
	const first = "id: first\ncategories: [{name: a}]\n---\n"
	for _, tt := range []struct{ name, text, message string }{
		{"an ambiguous id", `id: "9"`, `project "9": bad request: project id ends like a signed request or JWT`},
		{"an id that a path does not carry", `id: a/b`, `project "a/b": bad request: project id has "/"`},
		{"a category that a path does not carry", `{id: second, categories: [{name: b}, {name: ".."}]}`, `category ".." of project "second": bad request: category name has an element`},
		{"a new category of a project that exists", `{id: demo, categories: [{name: "50%"}]}`, `category "50%" of project "demo": bad request: category name has "?" or "%"`},
		{"an origin that no browser sends", `{id: second, options: {origins: ["https://example.com?x"]}}`, "must have https://example.com instead"},
		{"half of a surrogate pair", `{"id": "second", "name": "\ud800"}`, "UTF-16 surrogate pair"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := invoke(t, env, first+tt.text, "projects", "apply", "--yes", "-")
			if r.code != exitUsage || !strings.Contains(r.stderr, tt.message) {
				t.Errorf("%+v, expected %q", r, tt.message)
			}
		})
	}
	if r := invoke(t, env, "", "projects", "list"); r.stdout != "PROJECT  NAME  CATEGORIES\ndemo     demo  2\n" {
		t.Errorf("after refused files there are: %+v", r)
	}
	const origins = `{id: first, options: {origins: ["https://Example.com:443/", "https://*.bücher.example"]}}`
	if r := invoke(t, env, origins, "projects", "apply", "--yes", "-"); r.code != 0 || !strings.Contains(r.stdout, "https://*.xn--bcher-kva.example") {
		t.Errorf("%+v", r)
	}
	if r := invoke(t, env, origins, "projects", "apply", "--yes", "-"); r != (result{0, "nothing to do\n", ""}) {
		t.Errorf("the same file again: %+v", r)
	}
}

// TestApplyFailure applies a plan through a proxy that refuses the third change.
func TestApplyFailure(t *testing.T) {
	env := manifestEnvironment(t)
	target, err := url.Parse(env["CENT_ADDRESS"])
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(target)
	var changes atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "sign-in") && changes.Add(1) == 3 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":107,"message":"bad request"}}`)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	env["CENT_ADDRESS"] = proxy.URL
	const file = `{"id":"demo","name":"Demo","categories":[{"name":"a"},{"name":"b"},{"name":"c"}]}`
	r := invoke(t, env, file, "projects", "apply", "--yes", "--prune", "-")
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
	golden(t, "manifest/half-way.txt", r.stdout+r.stderr)
	again := invoke(t, env, file, "projects", "apply", "--yes", "--prune", "-")
	if again.code != 0 {
		t.Errorf("exit code %d", again.code)
	}
	golden(t, "manifest/half-way-again.txt", again.stdout+again.stderr)
}

// TestApplyLostAnswer creates a project through a proxy that drops the answer. The next
// attempt has the secret and the API key.
func TestApplyLostAnswer(t *testing.T) {
	env := manifestEnvironment(t)
	target, err := url.Parse(env["CENT_ADDRESS"])
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(target)
	var creations atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && creations.Add(1) == 1 {
			behind.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		behind.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	env["CENT_ADDRESS"] = proxy.URL
	r := invoke(t, env, `{"id":"lost","name":"Lost"}`, "projects", "apply", "--yes", "-")
	found := regexp.MustCompile(`\n  secret:  [0-9a-f]{64}\n  API key: ([A-Za-z0-9_-]{43})\n`).FindStringSubmatch(r.stdout)
	if r.code != 0 || r.stderr != "" || found == nil || creations.Load() != 2 {
		t.Fatalf("%+v after %d requests", r, creations.Load())
	}
	env["CENT_API_KEY"] = found[1]
	if r := invoke(t, env, "", "info"); r.code != 0 {
		t.Errorf("with the API key that was printed: %+v", r)
	}
}

func TestConfirmationInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr strings.Builder
	never, writer := io.Pipe()
	defer writer.Close()
	s := &session{world: world{terminal: true, stdin: never, stderr: &stderr}}
	if err := s.confirm(ctx, "Go on? ", "y"); !errors.Is(err, errDeclined) {
		t.Errorf("error %v", err)
	}
}
