package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"centrifuge/pkg/hub"
)

// Notify has the contract of hub.Dispatcher. It posts as many notices concurrently as the Poster
// allows. An encoder that fails is the failure of its notice alone.
func (d *Direct) Notify(ctx context.Context, notices []hub.Notice) (missed []string, err error) {
	var (
		posts sync.WaitGroup
		mu    sync.Mutex
		errs  []error
	)
	miss := func(n hub.Notice, err error) {
		mu.Lock()
		defer mu.Unlock()
		missed = append(missed, n.Connection)
		errs = append(errs, fmt.Errorf("notify connection %s: %w", n.Connection, err))
	}
	for _, n := range notices {
		encode := d.notices[n.Protocol]
		if encode == nil {
			continue
		}
		frame, err := encode(n)
		switch {
		case err != nil:
			miss(n, err)
			continue
		case frame == nil:
			continue
		case len(frame) > hub.MaxMessageBytes:
			miss(n, hub.ErrTooLarge)
			continue
		}
		if err := d.poster.acquire(ctx); err != nil {
			miss(n, err)
			continue
		}
		posts.Go(func() {
			if err := d.poster.post(ctx, n.Connection, NewPayload(frame), once); err != nil && !errors.Is(err, ErrGone) {
				miss(n, err)
			}
		})
	}
	posts.Wait()
	return missed, errors.Join(errs...)
}
