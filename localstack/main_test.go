package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/store"
)

// service is a running localstack process.
type service struct {
	cmd  *exec.Cmd
	base string
	rest chan string // its output after the start
}

// binary builds the command.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "localstack")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make run: Go's cache has the packages
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// program returns the command as make runs it, with the repository as its working
// directory.
func program(t *testing.T, path, port, data string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "PORT="+port, "DATA_DIR="+data)
	cmd.Stderr = os.Stderr
	return cmd
}

// runService starts the service and returns when it is ready.
func runService(t *testing.T, path, port, data string) *service {
	t.Helper()
	s := &service{cmd: program(t, path, port, data), base: "http://127.0.0.1:" + port, rest: make(chan string, 1)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the service exited: %v", s.cmd.Wait())
		}
		if strings.HasPrefix(line, "The data is in") {
			break
		}
	}
	go func() {
		b, _ := io.ReadAll(lines)
		s.rest <- string(b)
	}()
	return s
}

// interrupt sends SIGINT, as Ctrl-C does, and waits for the exit.
func (s *service) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if rest := <-s.rest; !strings.Contains(rest, "Stopping.") {
		t.Errorf("output %q, want Stopping.", rest)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// stored returns the option validate_url of the project demo and the hash of the admin
// password in a database.
func stored(t *testing.T, data string) (validateURL, passwordHash string) {
	t.Helper()
	endpoint, err := os.ReadFile(claimFile(data))
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(sdk.New(sdk.Options{
		BaseEndpoint: new(string(endpoint)), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}), stack.Table, store.Options{})
	p, err := s.ReadProject(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if passwordHash, err = s.AdminPassword(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p.Options.ValidateURL, passwordHash
}

// channels calls the server API with the seeded key and returns the status.
func (s *service) channels(t *testing.T) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/api/channels", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "demo-key")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// TestService starts the service, starts it a second time on the same port, invokes a
// function while it runs and after it stopped, and starts it again on the same data.
func TestService(t *testing.T) {
	path, port, data := binary(t), freePort(t), t.TempDir()
	s := runService(t, path, port, data)
	if status := s.channels(t); status != http.StatusOK {
		t.Errorf("status %d with the seeded key", status)
	}
	password, err := os.ReadFile(filepath.Join(data, "admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	_, hash := stored(t, data)
	if ok, err := auth.VerifyPassword(hash, strings.TrimSpace(string(password))); !ok || err != nil {
		t.Errorf("the password in the data folder is in the table: %v, error %v", ok, err)
	}

	for _, second := range []struct{ name, port, data, want string }{
		{"same data and port", port, data, "the data in " + data + " is in use by another make run or make invoke: stop it, or give this one data and a port of its own, such as DATA_DIR=" + data + "/8081 PORT=8081 make run"},
		{"same data", freePort(t), data, "the data in " + data + " is in use by another make run"},
		{"same port", port, t.TempDir(), "port " + port + " is in use: choose another port, such as PORT=8081 make run"},
	} {
		cmd := program(t, path, second.port, second.data)
		cmd.Stderr = nil
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), second.want) {
			t.Errorf("second start, %s: error %v, output %q", second.name, err, out)
		}
	}

	invoke := program(t, path, port, data, "invoke", "connect", "events/connect/open.json")
	if out, err := invoke.Output(); err != nil || !strings.Contains(string(out), `"statusCode": 200`) {
		t.Errorf("invoke: error %v, output %q", err, out)
	}
	database, err := os.ReadFile(claimFile(data))
	if err != nil {
		t.Fatal(err)
	}
	given := program(t, path, port, data, "invoke", "auth", "events/auth/sha256-token.json")
	given.Env = append(given.Env, "DYNAMODB_ENDPOINT="+strings.Replace(string(database), "127.0.0.1", "localhost", 1))
	if out, err := given.Output(); err != nil || !strings.Contains(string(out), `\"result\":true`) {
		t.Errorf("invoke with DYNAMODB_ENDPOINT: error %v, output %q", err, out)
	}
	got, hashAfter := stored(t, data)
	if want := s.base + "/demo/validate"; got != want {
		t.Errorf("after an invoke during the service validate_url is %s, want %s", got, want)
	}
	if hashAfter != hash {
		t.Error("an invoke during the service ends the sessions of administrators")
	}
	s.interrupt(t)
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(string(database), "http://")); err == nil {
		conn.Close()
		t.Error("the database runs after the service has stopped")
	}

	// The connection that invoke opened is still in the table.
	auth := program(t, path, port, data, "invoke", "auth", "events/auth/sha256-token.json")
	if out, err := auth.Output(); err != nil || !strings.Contains(string(out), `\"result\":true`) {
		t.Errorf("invoke: error %v, output %q", err, out)
	}

	moved := freePort(t)
	s = runService(t, path, moved, data)
	if status := s.channels(t); status != http.StatusOK {
		t.Errorf("status %d with the seeded key after a restart", status)
	}
	if _, hashAfter := stored(t, data); hashAfter != hash {
		t.Error("a restart ends the sessions of administrators")
	}

	// A service that is killed leaves the address of a database that is gone.
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.rest
	_ = s.cmd.Wait() // "signal: killed"
	orphan := program(t, path, port, data, "invoke", "auth", "events/auth/sha256-token.json")
	if out, err := orphan.Output(); err != nil || !strings.Contains(string(out), `\"result\":true`) {
		t.Errorf("invoke after the service was killed: error %v, output %q", err, out)
	}
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		env    map[string]string
		err    string
		output string
	}{
		{name: "help", args: []string{"--help"}, output: "Usage:"},
		{name: "unknown command", args: []string{"fly"}, err: "unknown arguments, see --help"},
		{name: "missing event file", args: []string{"invoke", "auth", "no-such-file"}, err: "read the event"},
		{name: "JITTER: not a duration", env: map[string]string{"JITTER": "much"}, err: "JITTER must be a duration"},
		{name: "JITTER: negative", env: map[string]string{"JITTER": "-1s"}, err: "JITTER must be a duration"},
		{name: "LAMBDA: unknown", env: map[string]string{"LAMBDA": "docker"}, err: "LAMBDA must be process"},
		{name: "HOST: an address", env: map[string]string{"HOST": "192.0.2.7"}, err: "HOST must be 127.0.0.1, or 0.0.0.0"},
		{name: "LOG_LEVEL: unknown", env: map[string]string{"LOG_LEVEL": "loud"}, err: `LOG_LEVEL must be debug, info, warn or error: "loud"`},
		{name: "PORT: too large", env: map[string]string{"PORT": "65536"}, err: `PORT must be a number from 1 to 65535, or 0 for a free port: "65536"`},
		{name: "PORT: negative", env: map[string]string{"PORT": "-1"}, err: "PORT must be a number"},
		{name: "PORT: a name", env: map[string]string{"PORT": "http"}, err: "PORT must be a number"},
		{name: "LISTEN: a port", env: map[string]string{"LISTEN": "8000"}, err: `LISTEN must be 127.0.0.1:PORT, or 0.0.0.0:PORT to open the stack to the local network: "8000"`},
		{name: "LISTEN: every address of the machine", env: map[string]string{"LISTEN": ":8000"}, err: "LISTEN must be 127.0.0.1:PORT"},
		{name: "LISTEN: a name as the port", env: map[string]string{"LISTEN": "127.0.0.1:http"}, err: `PORT must be a number from 1 to 65535, or 0 for a free port: "http"`},
		{name: "SEED: no file", env: map[string]string{"SEED": "no-such-file"}, err: "read the seed: open no-such-file"},
		{name: "SEED: not a seed", env: map[string]string{"SEED": "go.mod", "LISTEN": "127.0.0.1:0"}, err: "read seed: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir("..")
			var out strings.Builder
			err := command(t.Context(), tt.args, func(name string) string {
				if name == "DATA_DIR" {
					return t.TempDir()
				}
				return tt.env[name]
			}, &out, io.Discard)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(out.String(), tt.output) {
				t.Errorf("output %q, want %q", out.String(), tt.output)
			}
		})
	}
}

func TestListen(t *testing.T) {
	for listen, want := range map[string]string{"127.0.0.1:8000": "127.0.0.1:8000", "0.0.0.0:0": "0.0.0.0:0"} {
		t.Run(listen, func(t *testing.T) {
			o, err := readOptions(func(name string) string {
				return map[string]string{"LISTEN": listen, "HOST": "127.0.0.1", "PORT": "8081"}[name]
			}, io.Discard)
			if err != nil || o.Addr != want {
				t.Errorf("listens on %s, error %v", o.Addr, err)
			}
		})
	}
}

func TestHost(t *testing.T) {
	for host, want := range map[string]string{
		"": "127.0.0.1:8080", "127.0.0.1": "127.0.0.1:8080", "0.0.0.0": "0.0.0.0:8080", "x86_64-linux-gnu": "127.0.0.1:8080",
	} {
		t.Run(host, func(t *testing.T) {
			o, err := readOptions(func(name string) string { return map[string]string{"HOST": host}[name] }, io.Discard)
			if err != nil || o.Addr != want {
				t.Errorf("listens on %s, error %v", o.Addr, err)
			}
		})
	}
}

// TestStartPage signs in with one click from the first page.
func TestStartPage(t *testing.T) {
	t.Chdir("..")
	s := stacktest.Start(t, stack.Options{Documents: os.DirFS(".")})
	get := func(client *http.Client, address string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.StatusCode, string(body)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	if _, body := get(browser, s.HTTPURL+"/"); strings.Contains(body, s.AdminPassword) {
		t.Error("the page without its key has the password")
	}
	_, page := get(browser, s.StartURL)
	field := regexp.MustCompile(`name="password" value="([^"]+)"`).FindStringSubmatch(page)
	if field == nil {
		t.Fatalf("the page does not sign in: %s", page)
	}
	w, err := browser.PostForm(s.HTTPURL+"/admin/sign-in", url.Values{"password": field[1:]})
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if status, body := get(browser, s.AdminURL); status != http.StatusOK || !strings.Contains(body, "Projects") || !strings.Contains(body, "Sign out") {
		t.Errorf("after the sign-in: status %d, %s", status, body)
	}
	for _, link := range regexp.MustCompile(`href="(/[^"?]*)"`).FindAllStringSubmatch(page, -1) {
		if status, _ := get(browser, s.HTTPURL+link[1]); status != http.StatusOK && link[1] != "/admin/projects/demo/feed" { // no seed
			t.Errorf("%s: status %d", link[1], status)
		}
	}
}

func TestLogOptions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		env     map[string]string
		traffic bool
		level   string
	}{
		{"default", nil, true, "debug"},
		{"LOG_LEVEL", map[string]string{"LOG_LEVEL": "info"}, true, "info"},
		{"QUIET", map[string]string{"QUIET": "1"}, false, "warn"},
		{"QUIET=0", map[string]string{"QUIET": "0"}, true, "debug"},
		{"QUIET and LOG_LEVEL", map[string]string{"QUIET": "1", "LOG_LEVEL": "error"}, false, "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			getenv := func(name string) string { return tt.env[name] }
			var stderr strings.Builder
			o, err := readOptions(getenv, &stderr)
			if err != nil {
				t.Fatal(err)
			}
			setLog(&o, getenv, &stderr)
			if o.Traffic != tt.traffic || o.LogLevel != tt.level {
				t.Errorf("traffic %v, level %s; want %v, %s", o.Traffic, o.LogLevel, tt.traffic, tt.level)
			}
			if o.Log != &stderr {
				t.Error("without a terminal the log is not JSON lines")
			}
		})
	}
}
