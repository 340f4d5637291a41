package npm

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// program stands for any package; it is the one that localstack/ pins.
var program = Package{Folder: "localstack", Name: "@dynoxide/linux-x64", File: "dyn*", WayOut: "the way out"}

// emptyModule is a module with our pinned packages and nothing installed, as the
// working directory's parent.
func emptyModule(t *testing.T) (root string) {
	t.Helper()
	folder, err := program.find()
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	sub := filepath.Join(root, "pkg", "store")
	for _, dir := range []string{filepath.Join(root, "localstack"), sub} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{"go.mod": []byte("module x\n")}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		files["localstack/"+name] = b
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(root, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(sub)
	return root
}

// fakeNPM stands in for npm, so that the test needs no registry; the real one has
// brought the binary that the other tests run.
func fakeNPM(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho npm called: \"$@\"\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestInstall(t *testing.T) {
	t.Run("many first uses at once install once, whole", func(t *testing.T) {
		root := emptyModule(t)
		fakeNPM(t, `mkdir -p `+program.module()+` && echo x >`+program.module()+`/dynoxide && cp package-lock.json node_modules/.package-lock.json`)
		var progress lockedBuffer
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				binary, err := program.Install(t.Context(), &progress)
				if err != nil {
					t.Error(err)
					return
				}
				if rel, _ := filepath.Rel(root, binary); rel != "localstack/"+program.module()+"/dynoxide" {
					t.Errorf("binary %s", rel)
				}
				if _, err := os.Stat(binary); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := strings.Count(progress.String(), "npm called: ci --ignore-scripts"); n != 1 {
			t.Errorf("%d installations: %s", n, progress.String())
		}
	})

	t.Run("an npm that fails, or brings nothing, is an error", func(t *testing.T) {
		for script, want := range map[string]string{"exit 7": "exit status 7", "exit 0": "the way out"} {
			emptyModule(t)
			fakeNPM(t, script)
			if _, err := program.Install(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v", script, err)
			}
		}
	})

	t.Run("another version than the pinned one counts as missing", func(t *testing.T) {
		root := emptyModule(t)
		bin := filepath.Join(root, "localstack", program.module())
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		hidden := `{"packages":{"` + program.module() + `":{"version":"0.0.1"}}}`
		for path, content := range map[string]string{
			filepath.Join(bin, "dynoxide"):                                       "",
			filepath.Join(root, "localstack", "node_modules/.package-lock.json"): hidden,
		} {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if file, err := program.installed(filepath.Join(root, "localstack")); file != "" || err != nil {
			t.Errorf("installed %q, %v", file, err)
		}
	})

	t.Run("without npm the error names the ways out", func(t *testing.T) {
		emptyModule(t)
		t.Setenv("PATH", "")
		_, err := program.Install(t.Context(), io.Discard)
		for _, want := range []string{"npm", "Node.js 20", "the way out"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v lacks %q", err, want)
			}
		}
	})

	t.Run("outside the repository the error says so", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if _, err := program.Install(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "repository") {
			t.Errorf("error %v", err)
		}
	})
}

func TestLockFiles(t *testing.T) {
	locks, err := filepath.Glob("../package-lock.json")
	nested, nestedErr := filepath.Glob("../*/package-lock.json")
	if err != nil || nestedErr != nil || len(locks) == 0 || len(nested) == 0 {
		t.Fatalf("%v, %v, %v, %v", locks, err, nested, nestedErr)
	}
	for _, path := range append(locks, nested...) {
		t.Run(path+" pins by hash and names no registry", func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(`"resolved"`)) {
				t.Error("it names a host to download from")
			}
			if packages, hashes := bytes.Count(b, []byte(`"node_modules/`)), bytes.Count(b, []byte(`"sha512-`)); packages == 0 || packages != hashes {
				t.Errorf("%d packages, %d hashes", packages, hashes)
			}
		})
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
