package sdk_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"centrifuge/localstack/stack"
)

// TestExamples runs the clients of the documents until they print a message.
func TestExamples(t *testing.T) {
	install(t)
	program := filepath.Join(t.TempDir(), "example")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./example").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, command := range map[string][]string{
		"JavaScript": {"node", "example/example.mjs"},
		"Go":         {program},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, stack.Options{})
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:],
				r.WebSocketURL+"?project="+projectID, token(t, jwt.MapClaims{"sub": "ann"}))...) //nolint:gosec // the commands above
			printed, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = t.Output()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := make(chan string)
			go func() {
				defer close(lines)
				for s := bufio.NewScanner(printed); s.Scan(); {
					lines <- s.Text()
				}
			}()
			eventually(t, func() bool {
				r.publish(t, "log:lobby", `"hello"`)
				select {
				case line := <-lines:
					t.Log(line)
					return line != ""
				default:
					return false
				}
			})
			_ = cmd.Process.Kill()
			for range lines { //nolint:revive // until it has ended
			}
			_ = cmd.Wait()
		})
	}
}
