//go:build !linux

package dynoxide

import (
	"context"
	"syscall"
)

// childAttributes are the system's own: no package of dynoxide is known to exist
// for this platform yet, and install says so.
func childAttributes() *syscall.SysProcAttr { return nil }

// lockFile locks nothing, for the same reason.
func lockFile(context.Context, string) (unlock func(), err error) { return func() {}, nil }
