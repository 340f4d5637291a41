//go:build unix

package stacktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"centrifuge/functions"
	"centrifuge/localstack/bundle"
)

// Bootstraps builds the bootstraps of all functions for this machine, as make build
// does, and returns their folder. It builds only what has changed since the last call
// of any test.
func Bootstraps(tb testing.TB) string {
	tb.Helper()
	root := repository(tb)
	folder := filepath.Join(root, ".build", "test")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		tb.Fatal(err)
	}
	// Tests of other packages run at the same time.
	lock, err := os.Create(filepath.Join(folder, "lock"))
	if err != nil {
		tb.Fatal(err)
	}
	defer lock.Close() // unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		tb.Fatal(err)
	}
	args := []string{"build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", folder}
	for _, f := range functions.All {
		args = append(args, "./functions/"+f.Name)
	}
	cmd := exec.CommandContext(tb.Context(), "go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build the bootstraps: %v\n%s", err, out)
	}
	if err := bundle.Write(tb.Context(), filepath.Join(folder, functions.SDK), os.Stderr); err != nil {
		tb.Fatal(err)
	}
	return folder
}
