//go:build unix

package main

import "syscall"

// openFiles returns how many files and sockets the process may have open. Go raises
// the soft limit to the hard one when a program starts.
func openFiles() (limit uint64, known bool) {
	var r syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r)
	return uint64(r.Cur), err == nil //nolint:unconvert // it is signed on FreeBSD
}
