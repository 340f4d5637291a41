//go:build !darwin && !linux

package npm

import "context"

// lockFile locks nothing. Two processes that install concurrently may fail; run
// "make setup" first.
func lockFile(context.Context, string) (unlock func(), err error) { return func() {}, nil }
