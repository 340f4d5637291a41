//go:build unix

package delivery

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// poll reads what has arrived. It asks the system, because a read of package net fails
// without looking once its deadline has passed.
func (s *socket) poll(b []byte) (n int, err error) {
	if s.raw == nil {
		return 0, errors.ErrUnsupported
	}
	refused := s.raw.Control(func(fd uintptr) {
		for again := true; again; again = err == syscall.EINTR { //nolint:errorlint // an Errno
			n, err = syscall.Read(int(fd), b)
		}
	})
	switch {
	case refused != nil:
		return 0, refused
	case err == syscall.EAGAIN: //nolint:errorlint // an Errno
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}
