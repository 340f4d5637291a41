package process

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func started(t *testing.T, script string, o Options) *Process {
	t.Helper()
	p, err := Start(exec.Command("sh", "-c", script), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	return p
}

func TestProcess(t *testing.T) {
	t.Run("ready and stop", func(t *testing.T) {
		var log bytes.Buffer
		p := started(t, "sleep 600 & trap 'kill $!; echo stopped; exit 0' TERM; echo I am ready; wait", Options{Log: &log, Ready: "am ready"})
		<-p.Ready()
		for range 2 {
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if log.String() != "I am ready\nstopped\n" {
			t.Errorf("log %q", log.String())
		}
	})

	t.Run("unexpected exit", func(t *testing.T) {
		for script, want := range map[string]string{
			"echo last line; exit 7": "sh exited unexpectedly: last line\nexit status 7",
			"kill -9 $$":             "sh exited unexpectedly: no output\nsignal: killed",
			"exit 0":                 "sh exited unexpectedly: no output",
		} {
			p := started(t, script, Options{Ready: "never"})
			<-p.Done()
			if err := p.Stop(); err == nil || err.Error() != want {
				t.Errorf("%s: error %v", script, err)
			}
			select {
			case <-p.Ready():
				t.Error("it counts as ready")
			default:
			}
		}
	})

	t.Run("output limit", func(t *testing.T) {
		p := started(t, "seq 1 2000", Options{})
		<-p.Done()
		if out := p.Output(); len(out) > tailBytes || !strings.HasSuffix(out, "\n2000") {
			t.Errorf("%d bytes: %q", len(out), out)
		}
	})

	t.Run("unknown program", func(t *testing.T) {
		if p, err := Start(exec.Command("/no/such/program"), Options{}); p != nil || err == nil {
			t.Errorf("%v, %v", p, err)
		}
	})
}

func TestOnFreePort(t *testing.T) {
	t.Run("two taken ports", func(t *testing.T) {
		tried := make(map[int]bool)
		got, err := OnFreePort(t.Context(), func(port int) (int, error) {
			tried[port] = true
			if len(tried) < 3 {
				p := started(t, "echo Address already in use; exit 1", Options{})
				<-p.Done()
				return 0, p.PortError()
			}
			return port, nil
		})
		if err != nil || !tried[got] {
			t.Errorf("%d, %v of %v", got, err, tried)
		}
	})

	t.Run("every port taken", func(t *testing.T) {
		n := 0
		_, err := OnFreePort(t.Context(), func(int) (int, error) { n++; return 0, ErrPortTaken })
		if n != maxPortAttempts || !errors.Is(err, ErrPortTaken) {
			t.Errorf("%d attempts, %v", n, err)
		}
	})

	t.Run("other error", func(t *testing.T) {
		n := 0
		_, err := OnFreePort(t.Context(), func(int) (int, error) { n++; return 0, context.Canceled })
		if n != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}
