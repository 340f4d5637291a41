package dynamodb

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
// and wait until it is killed.
const asParent = "DYNAMODB_TEST_AS_PARENT"

// asJava, when set, makes it a java that answers like DynamoDB Local, without Java
// and without a download. "make test-dynamodb-local" runs the real one.
const asJava = "DYNAMODB_TEST_AS_JAVA"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asParent) != "":
		parent()
	case os.Getenv(asJava) != "":
		java()
	default:
		os.Exit(m.Run())
	}
}

func parent() {
	s, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The server must survive the end of any thread but the last.
	for range 10 {
		done := make(chan struct{})
		go func() { runtime.LockOSThread(); close(done) }()
		<-done
	}
	fmt.Println(s.Endpoint())
	io.Copy(io.Discard, os.Stdin)
}

func java() {
	err := http.ListenAndServe("127.0.0.1:"+argument("-port"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/arguments":
			fmt.Fprint(w, strings.Join(os.Args[1:], " "))
		case "/exit":
			fmt.Fprintln(os.Stderr, "out of memory")
			os.Exit(3)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func argument(name string) string {
	for i, arg := range os.Args[:len(os.Args)-1] {
		if arg == name {
			return os.Args[i+1]
		}
	}
	return ""
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

// call sends one DynamoDB request as an SDK does.
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

// get returns the body of an answer, or the error.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

func TestServerStop(t *testing.T) {
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
		t.Errorf("log %q", log.String())
	}
}

func TestStartConcurrently(t *testing.T) {
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
}

func TestOptionsPath(t *testing.T) {
	const table = `{"TableName":"table","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"PK","AttributeType":"S"}],"KeySchema":[{"AttributeName":"PK","KeyType":"HASH"}]}`
	for path, kept := range map[string]bool{filepath.Join(t.TempDir(), "db"): true, "": false} {
		s := started(t, Options{Path: path})
		call(t, s.Endpoint(), "CreateTable", table)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		s = started(t, Options{Path: path})
		if got := strings.Contains(call(t, s.Endpoint(), "ListTables", "{}"), `"table"`); got != kept {
			t.Errorf("path %q: the table exists after a restart: %v", path, got)
		}
	}
}

func TestStartErrors(t *testing.T) {
	t.Run("a process that exits", func(t *testing.T) {
		_, err := Start(t.Context(), Options{Path: filepath.Join(t.TempDir(), "absent", "db")})
		if err == nil || !strings.Contains(err.Error(), "start dynoxide: ") || !strings.Contains(err.Error(), "database") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("a context that ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Start(ctx, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestServerEndsWithKilledParent(t *testing.T) {
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
		t.Fatal("no answer while the parent runs")
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
}

// repository makes the working directory a repository where DynamoDB Local is
// installed, and puts scripts on PATH.
func repository(t *testing.T, programs map[string]string) (root, bin string) {
	t.Helper()
	lock, err := os.ReadFile("../package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	root, bin = t.TempDir(), t.TempDir()
	modules := filepath.Join(root, "localstack", "node_modules")
	files := map[string]string{
		filepath.Join(root, "go.mod"):                                                       "module x\n",
		filepath.Join(root, "localstack", "package-lock.json"):                              string(lock),
		filepath.Join(modules, ".package-lock.json"):                                        string(lock),
		filepath.Join(modules, localPackage.Name, "lib/dynamodb_local_x/DynamoDBLocal.jar"): "",
	}
	for name, script := range programs {
		files[filepath.Join(bin, name)] = "#!/bin/sh\n" + script + "\n"
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return root, bin
}

func fakeJava() map[string]string {
	return map[string]string{"java": asJava + `=1 exec '` + os.Args[0] + `' "$@"`}
}

func startedLocal(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := StartLocal(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

func TestLocal(t *testing.T) {
	t.Run("start and stop", func(t *testing.T) {
		repository(t, fakeJava())
		s := startedLocal(t, Options{})
		if got := get(t, s.Endpoint()+"/arguments"); !strings.HasSuffix(got, " -inMemory") {
			t.Errorf("arguments %s", got)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s.Endpoint()); !strings.Contains(got, "refused") {
			t.Errorf("it still answers: %s", got)
		}
	})

	t.Run("data in a folder", func(t *testing.T) {
		repository(t, fakeJava())
		s := startedLocal(t, Options{Path: "data/db"})
		if got := get(t, s.Endpoint()+"/arguments"); !strings.HasSuffix(got, " -sharedDb -dbPath data") {
			t.Errorf("arguments %s", got)
		}
	})

	t.Run("stop after it exited", func(t *testing.T) {
		repository(t, fakeJava())
		s := startedLocal(t, Options{})
		get(t, s.Endpoint()+"/exit")
		if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "out of memory") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("java that exits", func(t *testing.T) {
		repository(t, map[string]string{"java": "echo unsupported class file version; exit 1"})
		if _, err := StartLocal(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "unsupported class file version") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("missing java", func(t *testing.T) {
		repository(t, nil)
		t.Setenv("PATH", "")
		if _, err := StartLocal(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "version 17 or later") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("missing npm", func(t *testing.T) {
		root, bin := repository(t, fakeJava())
		t.Setenv("PATH", bin)
		if err := os.RemoveAll(filepath.Join(root, "localstack", "node_modules")); err != nil {
			t.Fatal(err)
		}
		if _, err := StartLocal(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "install Node.js") {
			t.Errorf("error %v", err)
		}
	})
}

func TestChoose(t *testing.T) {
	const (
		noEngine = ": install dynoxide, or Java 17 or later, or set DYNAMODB_ENDPOINT to the address of another DynamoDB"
		noNPM    = "install dynoxide: npm is not installed: install Node.js 20 or later, or set DYNAMODB_ENDPOINT to the address of another DynamoDB"
	)
	broken := map[string]string{"npm": "exit 1", "java": ""}
	for _, tt := range []struct {
		name, platform string
		programs       map[string]string
		want           string
		progress       string
		err            string
	}{
		{"dynoxide on PATH", "plan9/arm", map[string]string{"dynoxide": "", "java": ""}, "dynoxide", "", ""},
		{"java on PATH", "plan9/arm", map[string]string{"java": ""}, "DynamoDB Local", "", ""},
		{"neither", "plan9/arm", nil, "", "", "no DynamoDB for plan9/arm" + noEngine},
		{"no npm, dynoxide on PATH", dynoxidePlatform, map[string]string{"dynoxide": "", "java": ""}, "dynoxide",
			noNPM + "\nusing dynoxide on this machine, which does not have the data of another engine\n", ""},
		{"npm that fails, java on PATH", dynoxidePlatform, broken, "DynamoDB Local",
			"using DynamoDB Local on this machine, which does not have the data of another engine\n", ""},
		{"no npm, neither", dynoxidePlatform, nil, "", "", noNPM + "\nno DynamoDB for linux/amd64" + noEngine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, bin := repository(t, tt.programs)
			t.Setenv("PATH", bin)
			var progress strings.Builder
			e, err := choose(t.Context(), tt.platform, &progress)
			if e.name != tt.want || err == nil != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("%q, %v", e.name, err)
			}
			if !strings.HasSuffix(progress.String(), tt.progress) {
				t.Errorf("progress %q, want %q", progress.String(), tt.progress)
			}
		})
	}
}
