//go:build unix

package main

import "syscall"

// openFiles returns the limit of open files and sockets of the process. Go raises the
// soft limit to the hard limit when a program starts.
func openFiles() (limit uint64, known bool) {
	var r syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r)
	return uint64(r.Cur), err == nil //nolint:unconvert // it is signed on FreeBSD
}
