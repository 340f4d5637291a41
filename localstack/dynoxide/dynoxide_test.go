package dynoxide

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// asParent, when set, makes this test binary start a server, print its endpoint
// and wait to be killed.
const asParent = "DYNOXIDE_TEST_AS_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Other threads come and go; the server must not follow one of them.
	for range 10 {
		done := make(chan struct{})
		go func() { runtime.LockOSThread(); close(done) }()
		<-done
	}
	fmt.Println(s.Endpoint())
	io.Copy(io.Discard, os.Stdin)
}

func started(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

func answers(endpoint string) bool {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(endpoint)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// call sends one DynamoDB request as an SDK would.
func call(t *testing.T, endpoint, operation, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %s, %v", operation, resp.StatusCode, b, err)
	}
	return string(b)
}

func TestServer(t *testing.T) {
	t.Run("a started server answers, and a stopped one is gone", func(t *testing.T) {
		var log bytes.Buffer
		s := started(t, Options{Log: &log})
		if !answers(s.Endpoint()) {
			t.Fatal("no answer")
		}
		for range 2 {
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if answers(s.Endpoint()) {
			t.Error("it still answers")
		}
		if !strings.Contains(log.String(), "listening on") {
			t.Errorf("the log has %q", log.String())
		}
	})

	t.Run("many start at once, each on a port of its own", func(t *testing.T) {
		endpoints := make(map[string]bool)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := Start(t.Context(), Options{})
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(func() { s.Stop() })
				mu.Lock()
				defer mu.Unlock()
				endpoints[s.Endpoint()] = true
			})
		}
		wg.Wait()
		if len(endpoints) != 8 {
			t.Errorf("%d endpoints", len(endpoints))
		}
	})

	t.Run("a file keeps the data over a restart, memory does not", func(t *testing.T) {
		const table = `{"TableName":"table","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"PK","AttributeType":"S"}],"KeySchema":[{"AttributeName":"PK","KeyType":"HASH"}]}`
		for path, kept := range map[string]bool{filepath.Join(t.TempDir(), "db"): true, "": false} {
			s := started(t, Options{Path: path})
			call(t, s.Endpoint(), "CreateTable", table)
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			s = started(t, Options{Path: path})
			if got := strings.Contains(call(t, s.Endpoint(), "ListTables", "{}"), `"table"`); got != kept {
				t.Errorf("path %q: the table is there: %v", path, got)
			}
		}
	})

	t.Run("what it prints when it cannot start is the error", func(t *testing.T) {
		_, err := Start(t.Context(), Options{Path: filepath.Join(t.TempDir(), "absent", "db")})
		if err == nil || !strings.Contains(err.Error(), "database") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("an ended context ends the start and leaves nothing behind", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Start(ctx, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})

	t.Run("it dies with a parent that is killed", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), asParent+"=1")
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		endpoint := strings.TrimSpace(line)
		if !answers(endpoint) {
			t.Fatal("no answer while the parent lives")
		}
		cmd.Process.Kill()
		cmd.Wait()
		guard, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for answers(endpoint) {
			if guard.Err() != nil {
				t.Fatal("it outlived its parent")
			}
			runtime.Gosched()
		}
	})
}
