package docs_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// patience only guards against a command that never ends.
const patience = time.Minute

// grace is how long what a killed command has started may hold on to its output.
const grace = 10 * time.Second

// elsewhere are the commands of the README that are not run here, by their first
// line, with the reason. Every other one is run.
var elsewhere = map[string]string{
	"make run":                             "localstack/main_test.go runs the program that it starts",
	"make test":                            "this test is a part of it",
	"make deploy":                          "deploys to an account of AWS; make test-deploy shows the same on an emulator",
	"make seed TABLE=… SEED=projects.json": "writes into a table on AWS, as make test-deploy does on an emulator",
	"make invoke FUNCTION=connect EVENT=events/connect/open.json": "localstack/main_test.go invokes the same",
	"make load":                        "a step of .ci/run",
	"make bench":                       "measures for minutes, which decides over nobody's change",
	"make fuzz":                        "takes a minute for each decoder, and chance decides",
	"make lint lint-template lint-api": "steps of .ci/run",
	"make test-dynamodb-local":         "a step of .ci/run",
	"make test-deploy":                 "a step of .ci/run",
	"aws secretsmanager get-secret-value --query SecretString --output text --secret-id centrifuge-dev/admin":                                               "reads from an account of AWS",
	"aws dynamodb scan --table-name \"$OLD\" --filter-expression 'begins_with(PK, :p) OR begins_with(PK, :k) OR PK = :l'":                                   "copies tables on AWS",
	"HOOK=$(aws cloudformation describe-stack-resources --stack-name \"$STACK\" --output text --query":                                                      "asks an account of AWS",
	"while m=$(aws sqs receive-message --queue-url \"$QUEUE\" --wait-time-seconds 5 --query 'Messages[0]' --output json) && [ \"${m:-null}\" != null ]; do": "empties a queue on AWS",
}

var (
	// runnable is what may be run here: nothing that builds, tests or deploys.
	runnable = regexp.MustCompile(`^(?:\w+=\$\()?(?:cent|curl|echo|printf|export)\s`)
	// listening is what runs until it is interrupted, and prints a channel's messages.
	listening = regexp.MustCompile(`^cent sub (\w[\w-]*:[\w:-]+)[^|;&<>]*$`)
)

// install is how the README says that one gets cent. Before anything else is run, this is.
const install = "go install ./pkg/cent/cmd/cent"

// terminal is where a reader types the commands of the README, one after another.
type terminal struct {
	dir, home string
	env       []string
	addresses *strings.Replacer
}

// TestShell runs every command of the README that a local stack is enough for.
func TestShell(t *testing.T) {
	d := readme(t)
	term := open(t, d)
	named := map[string]bool{}
	for _, b := range d.blocks {
		if b.language != "sh" {
			continue
		}
		for _, c := range commands(t, b) {
			if elsewhere[c.name] != "" {
				named[c.name] = true
				continue
			}
			t.Run(fmt.Sprintf("line %d: %s", c.line, c.name), func(t *testing.T) {
				switch {
				case c.name == install:
				case !runnable.MatchString(c.name):
					t.Error("nothing here runs this, and the list of what is not run does not have it")
				case listening.MatchString(c.name):
					term.listen(t, c)
				default:
					term.run(t, c)
				}
			})
		}
	}
	for _, first := range slices.Sorted(maps.Keys(elsewhere)) {
		if !named[first] {
			t.Errorf("%s no longer has the command %s: take it off the list of what is not run", name, first)
		}
	}
}

// open starts a stack, and gets cent in the way that the README says.
func open(t *testing.T, d document) *terminal {
	t.Helper()
	says := func(code span) bool { return strings.Contains(code.text, install) }
	if !slices.ContainsFunc(d.spans, says) && !slices.ContainsFunc(d.blocks, func(b block) bool { return says(span{b.line, b.text}) }) {
		t.Fatalf("%s does not say how to get cent: %s", name, install)
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "bash", "-c", install)
	build.Dir, build.Env = root, append(os.Environ(), "GOBIN="+bin)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("install cent: %v\n%s", err, out)
	}
	track(t, root+"/pkg")

	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Log: os.Stderr, LogLevel: "warn"})
	term := &terminal{dir: t.TempDir(), home: t.TempDir()}
	term.addresses = strings.NewReplacer(localWebSocket, s.WebSocketURL, localHTTP, s.HTTPURL)
	// That a request was refused does not make curl fail unless it is told to.
	if err := os.WriteFile(filepath.Join(term.home, ".curlrc"), []byte("fail-with-body\nsilent\nshow-error\nnoproxy = \"*\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "CENT_") {
			term.env = append(term.env, variable)
		}
	}
	term.env = append(term.env, "HOME="+term.home, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"CENT_ADDRESS="+s.HTTPURL, "CENT_WEBSOCKET="+s.WebSocketURL, "CENT_ADMIN_PASSWORD="+s.AdminPassword)
	return term
}

// track reads the Go files of a folder. Go repeats a result without running the test
// while no file that the test has read is another: the compiler is not seen to read.
func track(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// prepare makes the process of a script. Variables that it sets are exported, for
// run to take over.
func (term *terminal) prepare(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -aeuo pipefail\n"+term.addresses.Replace(script))
	cmd.Dir, cmd.Env = term.dir, term.env
	cmd.WaitDelay = grace
	return cmd
}

// run runs a command to its end, which has to be a good one. What it exports is there
// for those after it.
func (term *terminal) run(t *testing.T, c command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	left := filepath.Join(term.home, "environment")
	out, err := term.prepare(ctx, c.text+"env -0 >'"+left+"'\n").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
		return
	}
	// The server API answers a refusal with status 200.
	if strings.Contains(string(out), `"error":{`) {
		t.Errorf("refused: %s", out)
	}
	t.Logf("%s", out)
	b, err := os.ReadFile(left)
	if err != nil {
		t.Fatal(err)
	}
	term.env = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// listen runs a command that prints messages, publishes one with cent, sees it
// printed, and interrupts the command, which has to end well.
func (term *terminal) listen(t *testing.T, c command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := term.prepare(ctx, "exec "+c.text)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil || !strings.Contains(said, "subscribed") {
		cancel()
		t.Errorf("it said %q before it ended: %v", said, cmd.Wait())
		return
	}
	channel := listening.FindStringSubmatch(c.name)[1]
	term.run(t, command{c.line, "cent publish " + channel + ` '{"text":"published while it listens"}'` + "\n", "publishing for " + c.name})
	if t.Failed() {
		cancel()
		_ = cmd.Wait()
		return
	}
	printed, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(printed, "published while it listens") {
		cancel()
		t.Errorf("it printed %q: %v", printed, cmd.Wait())
		return
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
