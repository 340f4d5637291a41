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
	t.Run("one that says it is ready is, and ends when it is stopped", func(t *testing.T) {
		var log bytes.Buffer
		p := started(t, "sleep 600 & trap 'kill $!; echo good-bye; exit 0' TERM; echo I am ready; wait", Options{Log: &log, Ready: "am ready"})
		<-p.Ready()
		for range 2 {
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if log.String() != "I am ready\ngood-bye\n" {
			t.Errorf("log %q", log.String())
		}
	})

	t.Run("one that ended on its own is reported, with its last words", func(t *testing.T) {
		for script, want := range map[string]string{
			"echo the last words; exit 7": "the last words\nexit status 7",
			"kill -9 $$":                  "without a word\nsignal: killed",
			"exit 0":                      "sh had ended on its own: without a word",
		} {
			p := started(t, script, Options{Ready: "never"})
			<-p.Done()
			if err := p.Stop(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v", script, err)
			}
			select {
			case <-p.Ready():
				t.Error("it counts as ready")
			default:
			}
		}
	})

	t.Run("a lot of output is kept from its end", func(t *testing.T) {
		p := started(t, "seq 1 2000", Options{})
		<-p.Done()
		if out := p.Output(); len(out) > tailBytes || !strings.HasSuffix(out, "\n2000") {
			t.Errorf("%d bytes: %q", len(out), out)
		}
	})

	t.Run("a program that does not exist is an error", func(t *testing.T) {
		if p, err := Start(exec.Command("/no/such/program"), Options{}); p != nil || err == nil {
			t.Errorf("%v, %v", p, err)
		}
	})
}

func TestOnFreePort(t *testing.T) {
	t.Run("a port that was taken in between is not the end", func(t *testing.T) {
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

	t.Run("after some attempts it is", func(t *testing.T) {
		n := 0
		_, err := OnFreePort(t.Context(), func(int) (int, error) { n++; return 0, ErrPortTaken })
		if n != attempts || !errors.Is(err, ErrPortTaken) {
			t.Errorf("%d attempts, %v", n, err)
		}
	})

	t.Run("any other failure is at once", func(t *testing.T) {
		n := 0
		_, err := OnFreePort(t.Context(), func(int) (int, error) { n++; return 0, context.Canceled })
		if n != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}
