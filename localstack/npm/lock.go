package npm

import (
	"context"
	"errors"
	"os"
	"time"

	"centrifuge/localstack/process"
)

// lockFile takes an exclusive lock on a file that exists. It waits for other
// processes until ctx ends. Where files cannot be locked, two processes that install
// concurrently may fail; run "make setup" first.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err := process.TryLock(f)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, process.ErrLocked) {
			f.Close()
			return nil, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
	}
}
