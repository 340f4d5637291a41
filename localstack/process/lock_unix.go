//go:build darwin || linux

package process

import (
	"errors"
	"os"
	"syscall"
)

// TryLock takes an exclusive lock on an open file and does not wait. The lock ends when
// the file is closed, also by the end of this process, however it ends. Programs that
// this process starts do not have it.
//
// It fails with ErrLocked while another open file has the lock.
func TryLock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return err
		}
	}
}
