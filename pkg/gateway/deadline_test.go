package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimit(t *testing.T) {
	for name, tt := range map[string]struct{ left, want time.Duration }{
		"timeout of the functions":   {29 * time.Second, 26 * time.Second},
		"six seconds":                {6 * time.Second, 3 * time.Second},
		"less than six seconds":      {2 * time.Second, time.Second},
		"a deadline that has passed": {-time.Second, -time.Second},
		"no time":                    {0, 0},
		"more than any function has": {15 * time.Minute, 15*time.Minute - 3*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				invocation, cancel := context.WithDeadline(t.Context(), now.Add(tt.left))
				defer cancel()
				ctx, cancel := limit(invocation)
				defer cancel()
				deadline, _ := ctx.Deadline()
				if got := deadline.Sub(now); got != tt.want {
					t.Errorf("it ends after %v, want %v", got, tt.want)
				}
			})
		})
	}
	ctx, cancel := limit(t.Context())
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		t.Errorf("deadline %v for an invocation without one", deadline)
	}
}
