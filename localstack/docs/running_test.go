package docs_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
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

// grace is how long the children of a killed command may keep its output open.
const grace = 10 * time.Second

const onAWS = "needs an AWS account"

// notRun lists the commands that are not run here, by their first line, with the
// reason. Every other command is run.
var notRun = map[string]string{
	"make run":                       "localstack/main_test.go runs the program that it starts",
	"PORT=8081 JITTER=50ms make run": "localstack/main_test.go runs the program that it starts",
	"LAMBDA=process make run":        "localstack/e2e runs the conversations on such a stack",
	"npm install centrifuge@5.8.0":   "localstack/package-lock.json pins the same version",
	"node client.mjs":                "testClient runs the client",
	"make invoke FUNCTION=auth EVENT=events/auth/sha256-token.json": "localstack/main_test.go does the same",

	"make setup":               "a step of .ci/run",
	"make test":                "this test is a part of it",
	"make test-dynamodb-local": "a step of .ci/run",
	"make test-clients":        "a step of .ci/run",
	"make oracles":             "a step of .ci/run",
	"make soak":                "a step of .ci/run, for a minute",
	"make hammer":              "a step of .ci/run, for 15 seconds",
	"make lint":                "a step of .ci/run",
	"make lint-template":       "a step of .ci/run",
	"make lint-api":            "a step of .ci/run",
	"make test-iam":            "a step of .ci/run",
	"make cover":               "runs this test",
	"make vulncheck":           "needs vuln.go.dev",
	"make clean":               "removes what other tests need",

	"make bootstrap":        onAWS + "; make test-deploy runs it against an emulator",
	"make admin-password":   onAWS + "; make test-deploy runs it against an emulator",
	"make deploy":           onAWS + "; make test-deploy deploys the same stack on an emulator",
	"make deploy DEMO=true": onAWS + "; make test-deploy deploys the same stack on an emulator",
	"make deploy DOMAIN=rt.example.com CERTIFICATE=…":         onAWS,
	"make seed TABLE=… SEED=projects.json":                    onAWS,
	"make seed TABLE=… SEED=localstack/deploy/smoke.json":     onAWS,
	"E2E_PROJECT=smoke E2E_SECRET=… E2E_API_KEY=… make smoke": onAWS,
	"E2E_PROJECT=smoke E2E_SECRET=… make probe":               onAWS,
	"aws cloudformation deploy --stack-name centrifuge-failure --template-file localstack/probe/failure.json --capabilities CAPABILITY_IAM": onAWS,
	"aws cloudformation describe-stacks --stack-name centrifuge-failure --query 'Stacks[0].Outputs[0].OutputValue' --output text":           onAWS,
	"aws cloudformation delete-stack --stack-name centrifuge-failure":                                                                       onAWS,
	`aws dynamodb scan --table-name "$OLD"`:                                        onAWS,
	`aws sqs receive-message --queue-url "$QUEUE" --message-attribute-names All`:   onAWS,
	`while m=$(aws sqs receive-message --queue-url "$QUEUE" --wait-time-seconds 5`: onAWS,
}

var (
	// runnable are the commands that may run here: none that builds, tests or deploys.
	runnable = regexp.MustCompile(`^(?:\w+=\$\()?(?:cent|curl|echo|printf|export|openssl)\s`)
	// listening are the commands that run until they are interrupted and print the
	// messages of a channel.
	listening = regexp.MustCompile(`^cent sub (?:--user \w+ )?(\w[\w-]*:[\w:-]+)[^|;&<>]*$`)
)

// install is the command that installs cent. It runs before all others.
const install = "go install ./pkg/cent/cmd/cent"

// TestOnLocalStack runs the documents on a local stack.
func TestOnLocalStack(t *testing.T) {
	bin := installCent(t)
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Log: os.Stderr, LogLevel: "warn"})
	for path := range clients {
		t.Run("client of "+path, func(t *testing.T) { testClient(t, s, path) })
	}
	t.Run("pages", func(t *testing.T) { testPages(t, s) })
	t.Run("commands", func(t *testing.T) { testCommands(t, s, bin) })
	t.Run("cent commands", func(t *testing.T) { testCentCommands(t, bin) })
}

// centCommand is a command of cent within the text.
var centCommand = regexp.MustCompile(`^cent ((?:(?:projects|categories) )?[a-z][a-z-]*)`)

// testCentCommands checks that the commands of cent exist that documents name in
// their text.
func testCentCommands(t *testing.T, bin string) {
	exists := map[string]bool{}
	for _, d := range documents(t) {
		for _, code := range d.spans {
			m := centCommand.FindStringSubmatch(code.text)
			if m == nil {
				continue
			}
			if _, known := exists[m[1]]; !known {
				help := exec.CommandContext(t.Context(), filepath.Join(bin, "cent"), append(strings.Fields(m[1]), "--help")...)
				exists[m[1]] = help.Run() == nil
			}
			if !exists[m[1]] {
				t.Errorf("%s:%d: cent has no command %q", d.path, code.line, m[1])
			}
		}
	}
}

// testPages opens every address of the local stack that a document links to.
func testPages(t *testing.T, s *stack.Stack) {
	for _, d := range documents(t) {
		for _, link := range links(d) {
			path, local := strings.CutPrefix(link.text, localHTTP)
			if !local {
				continue
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTPURL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s:%d: %s is answered with status %d", d.path, link.line, link.text, response.StatusCode)
			}
		}
	}
}

// testCommands runs the shell commands of every document, in the order of the
// document, as a reader would type them into one terminal.
func testCommands(t *testing.T, s *stack.Stack, bin string) {
	listed := map[string]bool{}
	for _, d := range documents(t) {
		term := newTerminal(t, s, bin)
		for _, b := range d.blocks {
			if b.language != "sh" {
				continue
			}
			for _, c := range commands(t, d.path, b) {
				if notRun[c.name] != "" {
					listed[c.name] = true
					continue
				}
				t.Run(fmt.Sprintf("%s:%d %s", d.path, c.line, c.name), func(t *testing.T) {
					switch {
					case c.name == install:
					case !runnable.MatchString(c.name):
						t.Error("this command is neither runnable nor on the list of commands that are not run")
					case listening.MatchString(c.name):
						term.listen(t, c)
					default:
						term.run(t, c)
					}
				})
			}
		}
	}
	for _, first := range slices.Sorted(maps.Keys(notRun)) {
		if !listed[first] {
			t.Errorf("no document has the command %q: remove it from the list of commands that are not run", first)
		}
	}
}

// installCent installs cent as the documents say, and returns the folder that it is
// in.
func installCent(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "bash", "-c", install)
	build.Dir, build.Env = root, append(os.Environ(), "GOBIN="+bin)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("install cent: %v\n%s", err, out)
	}
	track(t, root+"/pkg")
	return bin
}

// track reads the Go files of a folder. Go reuses the result of a test while the
// files that the test itself has read are unchanged, and does not see what the
// compiler reads.
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

// terminal is where a reader types the commands of a document, one after another.
type terminal struct {
	dir, home string
	env       []string
	addresses *strings.Replacer
}

func newTerminal(t *testing.T, s *stack.Stack, bin string) *terminal {
	t.Helper()
	term := &terminal{dir: t.TempDir(), home: t.TempDir()}
	term.addresses = strings.NewReplacer(localWebSocket, s.WebSocketURL, localHTTP, s.HTTPURL)
	// Without this, curl does not fail when a request is refused.
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

// prepare makes the process of a script. It exports the variables that the script
// sets, so that run can take them over.
func (term *terminal) prepare(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -aeuo pipefail\n"+term.addresses.Replace(script))
	cmd.Dir, cmd.Env = term.dir, term.env
	cmd.WaitDelay = grace
	return cmd
}

// run runs a command to its end, which must be a success. Later commands see the
// variables that it exports.
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
	// The server API answers an error with status 200.
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

// listen runs a command that prints messages, publishes one with cent, waits until
// the command has printed it, and interrupts the command, which must then succeed.
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
	printed, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil || !strings.Contains(printed, "subscribed") {
		cancel()
		t.Errorf("it printed %q and exited: %v", printed, cmd.Wait())
		return
	}
	channel := listening.FindStringSubmatch(c.name)[1]
	term.run(t, command{c.line, "cent publish " + channel + ` '{"text":"published while it listens"}'` + "\n", "publishing for " + c.name})
	if t.Failed() {
		cancel()
		_ = cmd.Wait()
		return
	}
	message, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(message, "published while it listens") {
		cancel()
		t.Errorf("it printed %q: %v", message, cmd.Wait())
		return
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
