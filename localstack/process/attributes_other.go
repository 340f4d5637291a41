//go:build !linux

package process

import "syscall"

// attributes are the defaults. Not every system can end a child with its parent.
func attributes() *syscall.SysProcAttr { return nil }
