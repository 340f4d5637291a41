package hub

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLaterOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		postpone bool
		want     []string
	}{
		"without WithLater": {false, []string{"first", "inner", "outer", "answer"}},
		"with WithLater":    {true, []string{"answer", "first", "inner", "outer"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			ctx, run := t.Context(), func() {}
			if tt.postpone {
				ctx, run = WithLater(ctx)
			}
			Later(ctx, func() { got = append(got, "first") })
			Later(ctx, func() {
				Later(ctx, func() { got = append(got, "inner") })
				got = append(got, "outer")
			})
			got = append(got, "answer")
			run()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("order, -expected +got:\n%s", diff)
			}
		})
	}
}

// TestLaterContext checks when the context of work ends, where the call has ended.
func TestLaterContext(t *testing.T) {
	for name, tt := range map[string]struct {
		stop time.Duration // from the call; 0 for none
		want time.Duration // from the start of the work
	}{
		"no stop":               {0, 5 * time.Second},
		"stop after the limit":  {time.Minute, 5 * time.Second},
		"stop before the limit": {3 * time.Second, time.Second},
		"stop that has passed":  {time.Second, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type key struct{}
				call, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				call, run := WithLater(call)
				if tt.stop > 0 {
					call = WithStop(call, time.Now().Add(tt.stop))
				}
				done := false
				h := &Hub{log: slog.New(slog.DiscardHandler)}
				h.later(call, 5*time.Second, func(ctx context.Context) {
					done = true
					deadline, ok := ctx.Deadline()
					if got := time.Until(deadline); !ok || got != tt.want || (ctx.Err() != nil) != (tt.want < 0) {
						t.Errorf("the context ends after %v, error %v, expected %v", got, ctx.Err(), tt.want)
					}
					if ctx.Value(key{}) != "value" {
						t.Error("the context has lost the values of the call")
					}
				})
				cancel()
				time.Sleep(2 * time.Second) // the answer takes two seconds of synctest's clock
				run()
				if !done {
					t.Error("the work was not done")
				}
			})
		})
	}
}

func TestLaterPanic(t *testing.T) {
	var log bytes.Buffer
	h := &Hub{log: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, run := WithLater(t.Context())
	next := false
	h.later(ctx, time.Second, func(context.Context) { panic("no luck") })
	h.later(ctx, time.Second, func(context.Context) { next = true })
	run()
	if !next {
		t.Error("the work after a panic was not done")
	}
	if got := log.String(); strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, `error="no luck"`) || !strings.Contains(got, "later_test.go") {
		t.Errorf("log %s", got)
	}
}
