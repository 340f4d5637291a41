package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// service is a running localstack process.
type service struct {
	cmd  *exec.Cmd
	base string
	rest chan string // what it printed until its end
}

// binary builds the command once for all tests of this package.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "localstack")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
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

// process prepares the command as make runs it: from the repository.
func process(t *testing.T, path, port, data string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "PORT="+port, "DATA_DIR="+data)
	cmd.Stderr = os.Stderr
	return cmd
}

// runService starts the service and returns when it says that it runs.
func runService(t *testing.T, path, port, data string) *service {
	t.Helper()
	s := &service{cmd: process(t, path, port, data), base: "http://127.0.0.1:" + port, rest: make(chan string, 1)}
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
			t.Fatalf("the service ended: %v", s.cmd.Wait())
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

// interrupt is Ctrl-C.
func (s *service) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if rest := <-s.rest; !strings.Contains(rest, "Stopping.") {
		t.Errorf("it said %q", rest)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

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

// TestService runs the command as a person does: starts it, starts it again,
// invokes a function beside it, interrupts it and starts it once more.
func TestService(t *testing.T) {
	path, port, data := binary(t), freePort(t), t.TempDir()
	s := runService(t, path, port, data)
	if status := s.channels(t); status != http.StatusOK {
		t.Errorf("the seeded key is answered with %d", status)
	}

	second := process(t, path, port, data)
	second.Stderr = nil
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "port "+port+" is taken") {
		t.Errorf("a second start ended with %v and said %q", err, out)
	}

	invoke := process(t, path, port, data, "invoke", "connect", "events/connect/open.json")
	if out, err := invoke.Output(); err != nil || !strings.Contains(string(out), `"statusCode": 200`) {
		t.Errorf("invoke ended with %v and said %q", err, out)
	}
	database, err := os.ReadFile(endpointFile(data))
	if err != nil {
		t.Fatal(err)
	}
	s.interrupt(t)
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(string(database), "http://")); err == nil {
		conn.Close()
		t.Error("the database outlives the service")
	}

	// The connection that invoke opened is still in the table, and knows its token.
	auth := process(t, path, port, data, "invoke", "auth", "events/auth/sha256-token.json")
	if out, err := auth.Output(); err != nil || !strings.Contains(string(out), `\"result\":true`) {
		t.Errorf("invoke ended with %v and said %q", err, out)
	}

	moved := freePort(t)
	s = runService(t, path, moved, data)
	if status := s.channels(t); status != http.StatusOK {
		t.Errorf("after a restart the seeded key is answered with %d", status)
	}
	s.interrupt(t)
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		env   map[string]string
		fails string
		says  string
	}{
		{name: "help", args: []string{"--help"}, says: "Usage:"},
		{name: "an unknown command", args: []string{"fly"}, fails: "unknown arguments, see --help"},
		{name: "an event that is not there", args: []string{"invoke", "auth", "no-such-file"}, fails: "read the event"},
		{name: "a jitter that is none", env: map[string]string{"JITTER": "much"}, fails: "JITTER is not a duration"},
		{name: "a negative jitter", env: map[string]string{"JITTER": "-1s"}, fails: "JITTER is not a duration"},
		{name: "a port that is none", env: map[string]string{"PORT": "1234567"}, fails: "listen"},
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
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("it said %q", out.String())
			}
		})
	}
}
