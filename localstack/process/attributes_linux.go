package process

import "syscall"

// attributes make a child that the kernel kills when the thread that started it
// ends, and that a Ctrl-C in the terminal does not reach: it is for us to end it
// in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
