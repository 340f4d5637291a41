//go:build !linux

package process

import "syscall"

// attributes are the system's own: not every system can end a child with its
// parent.
func attributes() *syscall.SysProcAttr { return nil }
