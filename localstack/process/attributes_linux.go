package process

import "syscall"

// attributes make the kernel kill the child when the thread that started it ends, and
// keep a Ctrl-C in the terminal from the child: this process stops it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
