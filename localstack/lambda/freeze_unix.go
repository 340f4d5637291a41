//go:build unix

package lambda

import (
	"syscall"

	"centrifuge/localstack/process"
)

// freeze stops a process, as Lambda does between invocations. One that has exited is
// ignored.
func freeze(p *process.Process) { _ = p.Signal(syscall.SIGSTOP) }

// thaw continues a process that was frozen. Others are not affected.
func thaw(p *process.Process) { _ = p.Signal(syscall.SIGCONT) }
