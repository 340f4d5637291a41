// Package browser runs scripts that drive a real browser against the stack: Node
// with playwright-core, which localstack/package.json pins, and Debian's Chromium.
//
// It knows nothing of what a script does. A missing program is an error that says
// how to install it, never a reason to skip.
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
)

// maxOutput is how much of the end of a script's output an error repeats, in bytes.
const maxOutput = 16 << 10

// Run runs a Node script and returns when it has ended. The script gets the
// environment of this process, overridden by env, and CHROMIUM, the path of the
// browser: env's own, else this process's, else the first of chromium,
// chromium-browser and google-chrome that is installed.
//
// It fails with what the script wrote when its exit status is not zero, and says
// how to install Node or Chromium where one is missing. When ctx ends the script is
// asked to stop, and killed ten seconds later. It is safe for concurrent use.
func Run(ctx context.Context, script string, env map[string]string) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return fmt.Errorf("run %s: Node.js 20 or newer is needed (apt-get install nodejs): %w", script, err)
	}
	chromium, err := find(cmp.Or(env["CHROMIUM"], os.Getenv("CHROMIUM")))
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
	// Not a kill at once: the script ends the browser that it started.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		said := bytes.TrimSpace(output.Bytes())
		return fmt.Errorf("run %s: %w\n%s", script, errors.Join(err, context.Cause(ctx)), said[max(0, len(said)-maxOutput):])
	}
	return nil
}

// find returns the path of the browser; chosen, when not empty, is the only
// candidate.
func find(chosen string) (string, error) {
	candidates := []string{"chromium", "chromium-browser", "google-chrome"}
	if chosen != "" {
		candidates = []string{chosen}
	}
	var missing []error
	for _, name := range candidates {
		path, err := exec.LookPath(name)
		if err == nil {
			return path, nil
		}
		missing = append(missing, err)
	}
	return "", fmt.Errorf("a Chromium is needed (apt-get install chromium, or set CHROMIUM to its path): %w", errors.Join(missing...))
}
