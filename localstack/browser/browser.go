// Package browser runs Node scripts that drive a real browser with playwright-core.
// It finds a Chromium on this machine, or installs the one that
// localstack/package.json pins.
//
// It knows nothing about the scripts. When a program is missing it fails and says what
// to install; it never skips.
package browser

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"centrifuge/localstack/npm"
)

// maxOutput is how many bytes of the end of a script's output an error repeats.
const maxOutput = 16 << 10

// driver is the library that the scripts import.
var driver = npm.Package{Name: "playwright-core", File: "index.mjs", Alternative: "run the tests of the other packages"}

// Run runs a Node script and returns when it has exited. The script gets the
// environment of this process, env, and CHROMIUM, the path of the browser: CHROMIUM in
// env or in this process's environment; the first of chromium, chromium-browser and
// google-chrome on PATH; the Chromium from npm.
//
// It fails with the output of the script when the exit status is not zero, and says
// what to install when Node or a browser is missing. When ctx ends, the script gets
// SIGTERM and is killed ten seconds later. Run is safe for concurrent use.
func Run(ctx context.Context, script string, env map[string]string) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return fmt.Errorf("run %s: Node.js is not installed: install Node.js 20 or later with npm: %w", script, err)
	}
	if _, err := driver.Install(ctx, os.Stderr); err != nil {
		return fmt.Errorf("run %s: %w", script, err)
	}
	chromium, err := find(ctx, cmp.Or(env["CHROMIUM"], os.Getenv("CHROMIUM")))
	if err != nil {
		return fmt.Errorf("run %s: %w", script, err)
	}
	cmd := exec.CommandContext(ctx, node, script)
	cmd.Env = os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "CHROMIUM="+chromium)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// A killed script would leave its browser running.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		printed := bytes.TrimSpace(output.Bytes())
		return fmt.Errorf("run %s: %w\n%s", script, errors.Join(err, context.Cause(ctx)), printed[max(0, len(printed)-maxOutput):])
	}
	return nil
}
