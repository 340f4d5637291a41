package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"centrifuge/pkg/hub"
)

// concurrently calls all functions concurrently and reports their errors.
func concurrently(t *testing.T, all ...func() error) {
	t.Helper()
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, f := range all {
		wg.Go(func() {
			<-start
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
}

// unexpected is err, or nil when err is one of the expected errors.
func unexpected(err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// TestChangeConcurrently checks that of concurrent changes each is planned with the state
// that the others left, and that one that closes the connection ends them all.
func TestChangeConcurrently(t *testing.T) {
	t.Run("channel limit", func(t *testing.T) {
		s := newRig(t)
		c := s.enter(t, "c", "u")
		var all []func() error
		for i := range 6 {
			joins := join(channelsNamed(20, fmt.Sprint("x", i, "-")))
			all = append(all, func() error {
				_, _, err := s.ChangeConnection(t.Context(), c, func(c hub.Connection) (hub.Change, error) {
					if len(c.Channels)+20 > 70 {
						return hub.Change{}, hub.ErrLimitExceeded
					}
					return joins(c)
				})
				return unexpected(err, hub.ErrLimitExceeded)
			})
		}
		concurrently(t, all...)
		same(t, "channels", len(s.connection(t, "c").Channels), 60)
		s.agree(t, "c")
	})

	t.Run("same channels", func(t *testing.T) {
		s := newRig(t)
		c := s.enter(t, "c", "u")
		channels := channelsNamed(100, "x")
		var joins atomic.Int32
		var all []func() error
		for range 4 {
			all = append(all, func() error {
				before, after, err := s.ChangeConnection(t.Context(), c, join(channels))
				joins.Add(int32(len(after.Channels) - len(before.Channels)))
				return err
			})
		}
		concurrently(t, all...)
		same(t, "joins", joins.Load(), int32(100))
		s.agree(t, "c")
	})

	t.Run("one identity", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		c := s.connection(t, "c")
		var accepted atomic.Int32
		var all []func() error
		for i := range 8 {
			identity := become(hub.Connection{ID: "c", Project: "p", User: fmt.Sprint("u", i)})
			all = append(all, func() error {
				_, _, err := s.ChangeConnection(t.Context(), c, func(c hub.Connection) (hub.Change, error) {
					if c.Project != "" {
						return hub.Change{}, hub.ErrConflict
					}
					return identity(c)
				})
				if err == nil {
					accepted.Add(1)
				}
				return unexpected(err, hub.ErrConflict)
			})
		}
		concurrently(t, all...)
		same(t, "accepted identities", accepted.Load(), int32(1))
		same(t, "revision", s.connection(t, "c").Revision, 1)
	})

	t.Run("closing", func(t *testing.T) {
		s := newRig(t)
		for i := range 20 {
			id := fmt.Sprint("c", i)
			c := s.enter(t, id, "former")
			change := func(p plan) func() error {
				return func() error {
					_, _, err := s.ChangeConnection(t.Context(), c, p)
					return unexpected(err, hub.ErrConnectionNotFound)
				}
			}
			concurrently(t,
				change(become(hub.Connection{ID: id, Project: "p", User: "u"})),
				change(join(channelsNamed(30, "x"))),
				func() error { return s.end(t.Context(), id) },
				func() error { return s.end(t.Context(), id) },
			)
			s.agree(t)
		}
		if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) > 0 || err != nil {
			t.Errorf("closed connections were found: %v, %v", got, err)
		}
	})
}
