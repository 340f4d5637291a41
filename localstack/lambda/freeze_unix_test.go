//go:build unix

package lambda_test

import (
	"syscall"
	"testing"

	"centrifuge/localstack/lambda"
)

// TestFreeze waits until the idle process is stopped, and invokes it again.
func TestFreeze(t *testing.T) {
	_, f, _ := start(t, lambda.Options{}, "serve")
	for range 2 {
		pid := invoke[int](t, f, event{Do: "pid"})
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() || status.StopSignal() != syscall.SIGSTOP {
			t.Fatalf("status %v, error %v, want stopped", status, err)
		}
	}
}
