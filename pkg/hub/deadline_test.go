package hub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for name, tt := range map[string]struct {
			ctx  context.Context
			want time.Duration
		}{
			"no stop":                {ended, 5 * time.Second},
			"stop after the limit":   {WithStop(ended, now.Add(time.Minute)), 5 * time.Second},
			"stop before the limit":  {WithStop(ended, now.Add(2*time.Second)), 2 * time.Second},
			"stop that has passed":   {WithStop(ended, now.Add(-time.Second)), -time.Second},
			"stop of an outer after": {outer(WithStop(ended, now.Add(time.Second)), t), time.Second},
		} {
			ctx, cancel := after(tt.ctx, 5*time.Second)
			deadline, ok := ctx.Deadline()
			if !ok || deadline.Sub(now) != tt.want || (ctx.Err() != nil) != (tt.want < 0) {
				t.Errorf("%s: deadline after %v, error %v, want %v", name, deadline.Sub(now), ctx.Err(), tt.want)
			}
			cancel()
		}
	})
}

// outer is a context that after returned for ctx.
func outer(ctx context.Context, t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := after(ctx, time.Hour)
	t.Cleanup(cancel)
	return ctx
}
