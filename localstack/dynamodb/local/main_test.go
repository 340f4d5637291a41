package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		status int
	}{
		{"exit status 0", "echo $DYNAMODB_ENDPOINT", 0},
		{"exit status 7", "echo $DYNAMODB_ENDPOINT; exit 7", 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			status, err := run(t.Context(), []string{"sh", "-c", tt.script}, "http://127.0.0.1:8000", &out, io.Discard)
			if status != tt.status || err != nil || out.String() != "http://127.0.0.1:8000\n" {
				t.Errorf("status %d, %v; %s", status, err, out.String())
			}
		})
	}

	t.Run("interrupted command", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := interrupting{interrupt: cancel}
		status, err := run(ctx, []string{"sh", "-c", "sleep 600 & trap 'kill $!; echo stopped; exit 0' TERM; echo started; wait"}, "", &out, io.Discard)
		if status != 0 || !errors.Is(err, context.Canceled) || out.written.String() != "started\nstopped\n" {
			t.Errorf("status %d, %v; %s", status, err, out.written.String())
		}
	})

	t.Run("unknown command", func(t *testing.T) {
		if _, err := run(t.Context(), []string{"no-such-command"}, "", io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "no-such-command") {
			t.Errorf("error %v", err)
		}
	})
}

// interrupting keeps its input and calls interrupt at the first write.
type interrupting struct {
	written   strings.Builder
	interrupt func()
}

func (i *interrupting) Write(b []byte) (int, error) {
	defer i.interrupt()
	return i.written.Write(b)
}
