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

// program is the package of the tests; driver is a development dependency.
var (
	program = Package{Name: "@dynoxide/linux-x64", File: "dyn*", Alternative: "use the alternative"}
	driver  = Package{Name: "playwright-core", File: "index.mjs"}
)

// emptyModule is a module with the pinned packages and nothing installed. The
// working directory is below it.
func emptyModule(t *testing.T) (root string) {
	t.Helper()
	dir, err := find()
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module x\n")
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, folder, name), string(b))
	}
	sub := filepath.Join(root, "pkg", "store")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(sub)
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// fakeNPM replaces npm on PATH by a script, so that the test needs no registry.
func fakeNPM(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "npm"), "#!/bin/sh\necho npm called: \"$@\"\n"+script+"\n")
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// installs is a script that installs a package as npm does.
func installs(p Package, file string) string {
	return `mkdir -p ` + p.module() + ` && echo x >` + p.module() + `/` + file + ` && cp package-lock.json node_modules/.package-lock.json`
}

func TestInstall(t *testing.T) {
	t.Run("concurrent calls install once", func(t *testing.T) {
		root := emptyModule(t)
		fakeNPM(t, installs(program, "dynoxide"))
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
		if n := strings.Count(progress.String(), "npm called: install"); n != 1 {
			t.Errorf("%d installations: %s", n, progress.String())
		}
	})

	t.Run("development dependencies are omitted until one is needed", func(t *testing.T) {
		for _, tt := range []struct {
			name    string
			p       Package
			file    string
			present bool
			want    string
		}{
			{"a program, nothing installed", program, "dynoxide", false, "npm called: install --no-save --ignore-scripts --omit=dev\n"},
			{"a program, others installed", program, "dynoxide", true, "npm called: install --no-save --ignore-scripts\n"},
			{"a development dependency", driver, "index.mjs", false, "npm called: install --no-save --ignore-scripts\n"},
		} {
			root := emptyModule(t)
			if tt.present {
				write(t, filepath.Join(root, folder, "node_modules", ".package-lock.json"), "{}")
			}
			fakeNPM(t, installs(tt.p, tt.file))
			var progress bytes.Buffer
			if _, err := tt.p.Install(t.Context(), &progress); err != nil || !strings.HasSuffix(progress.String(), tt.want) {
				t.Errorf("%s: %s, %v", tt.name, progress.String(), err)
			}
		}
	})

	t.Run("failing npm", func(t *testing.T) {
		for script, want := range map[string]string{"exit 7": "exit status 7", "exit 0": "use the alternative"} {
			emptyModule(t)
			fakeNPM(t, script)
			if _, err := program.Install(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v", script, err)
			}
		}
	})

	t.Run("another version than the pinned one is not installed", func(t *testing.T) {
		root := emptyModule(t)
		modules := filepath.Join(root, folder, "node_modules")
		write(t, filepath.Join(modules, program.Name, "dynoxide"), "")
		write(t, filepath.Join(modules, ".package-lock.json"), `{"packages":{"`+program.module()+`":{"version":"0.0.1"}}}`)
		if file, err := program.installed(filepath.Join(root, folder)); file != "" || err != nil {
			t.Errorf("installed %q, %v", file, err)
		}
	})

	t.Run("missing npm", func(t *testing.T) {
		emptyModule(t)
		t.Setenv("PATH", "")
		const want = "npm is not installed: install Node.js 20 or later, or use the alternative"
		if _, err := program.Install(t.Context(), io.Discard); err == nil || err.Error() != want {
			t.Errorf("error %v", err)
		}
	})

	t.Run("working directory outside the repository", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if _, err := program.Install(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "run the command inside the repository") {
			t.Errorf("error %v", err)
		}
	})
}

// TestLockFile checks that package-lock.json pins by hash and names no registry.
func TestLockFile(t *testing.T) {
	b, err := os.ReadFile("../package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte(`"resolved"`)) {
		t.Error("it names a registry host")
	}
	if packages, hashes := bytes.Count(b, []byte(`"node_modules/`)), bytes.Count(b, []byte(`"sha512-`)); packages == 0 || packages != hashes {
		t.Errorf("%d packages, %d hashes", packages, hashes)
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
