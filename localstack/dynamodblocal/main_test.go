package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asJava, when set, makes this test binary the java that the tests find: it answers
// on the port as DynamoDB Local does, without Java and without a download. The real
// one is what "make test-dynamodb-local" runs.
const asJava = "DYNAMODBLOCAL_TEST_AS_JAVA"

// asKiller, when set, makes it the command that the database does not survive.
const asKiller = "DYNAMODBLOCAL_TEST_AS_KILLER"

func TestMain(m *testing.M) {
	if os.Getenv(asKiller) != "" {
		for {
			response, err := http.Get(os.Getenv("DYNAMODB_ENDPOINT") + "/die")
			if err != nil {
				os.Exit(0) // content: it is dead
			}
			response.Body.Close()
		}
	}
	if os.Getenv(asJava) == "" {
		os.Exit(m.Run())
	}
	port := os.Args[len(os.Args)-1]
	err := http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/die" {
			fmt.Fprintln(os.Stderr, "out of memory, say")
			os.Exit(3)
		}
		w.WriteHeader(http.StatusBadRequest)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// workshop is a repository with the package installed, and a PATH with the programs
// of the given scripts and the system's.
func workshop(t *testing.T, programs map[string]string) {
	t.Helper()
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	root, bin := t.TempDir(), t.TempDir()
	module := filepath.Join(root, jar.Folder, "node_modules")
	files := map[string]string{
		filepath.Join(root, "go.mod"):                                                "module x\n",
		filepath.Join(root, jar.Folder, "package-lock.json"):                         string(lock),
		filepath.Join(module, ".package-lock.json"):                                  string(lock),
		filepath.Join(module, jar.Name, "lib", "dynamodb_local_x/DynamoDBLocal.jar"): "",
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
}

func java(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"java": asJava + `=1 exec '` + os.Args[0] + `' "$@"`}
}

// gone tells that nothing answers at the endpoint that a command printed.
func gone(t *testing.T, printed string) {
	t.Helper()
	endpoint := strings.TrimSpace(printed)
	if !strings.HasPrefix(endpoint, "http://127.0.0.1:") {
		t.Fatalf("the command printed %q", printed)
	}
	if resp, err := http.Get(endpoint); err == nil {
		resp.Body.Close()
		t.Error("it still answers")
	}
}

func TestWith(t *testing.T) {
	t.Run("the command has the endpoint, its status comes back, and nothing stays", func(t *testing.T) {
		workshop(t, java(t))
		for _, want := range []int{0, 7} {
			var out, log bytes.Buffer
			status, err := with(t.Context(), []string{"sh", "-c", fmt.Sprintf("echo $DYNAMODB_ENDPOINT; exit %d", want)}, &out, &log)
			if status != want || err != nil {
				t.Errorf("status %d, %v; %s", status, err, log.String())
			}
			gone(t, out.String())
		}
	})

	t.Run("an interrupted command is told, and nothing stays", func(t *testing.T) {
		workshop(t, java(t))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := interrupting{interrupt: cancel}
		if status, err := with(ctx, []string{"sh", "-c", "sleep 600 & trap 'kill $!; exit 0' TERM; echo $DYNAMODB_ENDPOINT; wait"}, &out, &bytes.Buffer{}); status != 0 || err == nil {
			t.Errorf("status %d, %v", status, err)
		}
		gone(t, out.written.String())
	})

	t.Run("a command that does not exist is an error", func(t *testing.T) {
		workshop(t, java(t))
		if _, err := with(t.Context(), []string{"no-such-command"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "no-such-command") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("a database that ends before the command is an error, even where the command is content", func(t *testing.T) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		workshop(t, java(t))
		_, err = with(t.Context(), []string{"env", asKiller + "=1", self}, &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "out of memory, say") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("one that cannot start says why", func(t *testing.T) {
		workshop(t, map[string]string{"java": "echo this Java is too old; exit 1"})
		_, err := with(t.Context(), []string{"true"}, &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "this Java is too old") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("without java the error says what to do", func(t *testing.T) {
		workshop(t, java(t))
		t.Setenv("PATH", "")
		if _, err := with(t.Context(), []string{"true"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "version 17 or later") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("without npm the error says what to do", func(t *testing.T) {
		workshop(t, java(t))
		bin, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
		t.Setenv("PATH", bin)
		if err := os.RemoveAll(filepath.Join(jar.Folder, "node_modules")); err != nil {
			t.Fatal(err)
		}
		if _, err := with(t.Context(), []string{"true"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "install Node.js") {
			t.Errorf("error %v", err)
		}
	})
}

// interrupting keeps what is written to it, and interrupts.
type interrupting struct {
	written   strings.Builder
	interrupt func()
}

func (i *interrupting) Write(b []byte) (int, error) {
	defer i.interrupt()
	return i.written.Write(b)
}
