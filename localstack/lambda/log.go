package lambda

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"
)

// The types of errors in the log, in addition to those that functions report.
const (
	exitKind    = "Runtime.ExitError"
	timeoutKind = "Sandbox.Timedout"
)

// functionLog writes the log of a function: the lines of its processes, and those of
// Lambda in Lambda's text format.
type functionLog struct {
	mu sync.Mutex
	w  io.Writer
}

// line writes a line. An error of the writer must not fail the invocation.
func (l *functionLog) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.w, line+"\n")
}

func (l *functionLog) initStart() { l.line("INIT_START Runtime Version: provided:al2023") }

// initFailed is the line of a start that failed.
func (l *functionLog) initFailed(took time.Duration, kind string) {
	l.line(fmt.Sprintf("INIT_REPORT Init Duration: %s\tPhase: init", milliseconds(took)) + status(kind))
}

func (l *functionLog) start(id string) {
	l.line("START RequestId: " + id + " Version: " + version)
}

// report is what Lambda reports about an invocation.
type report struct {
	took, initialized time.Duration
	memoryMB          int
	// kind is the type of the error, "" for none.
	kind string
}

// report writes the last lines of an invocation.
func (l *functionLog) report(id string, r report) {
	var b strings.Builder
	fmt.Fprintf(&b, "END RequestId: %s\nREPORT RequestId: %s\tDuration: %s\tBilled Duration: %.0f ms\tMemory Size: %d MB",
		id, id, milliseconds(r.took), math.Ceil(float64(r.took+r.initialized)/float64(time.Millisecond)), r.memoryMB)
	if r.initialized > 0 {
		b.WriteString("\tInit Duration: " + milliseconds(r.initialized))
	}
	b.WriteString(status(r.kind))
	l.line(b.String())
}

// status is the end of a report.
func status(kind string) string {
	switch kind {
	case "":
		return ""
	case timeoutKind:
		return "\tStatus: timeout"
	default:
		return "\tStatus: error\tError Type: " + kind
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// newStream returns the writer for the output of one process. It writes whole lines.
func (l *functionLog) newStream() io.Writer { return &stream{log: l} }

type stream struct {
	log  *functionLog
	rest []byte // of a line that is not complete
}

// Write is called by one goroutine.
func (s *stream) Write(b []byte) (int, error) {
	s.rest = append(s.rest, b...)
	for {
		line, rest, complete := bytes.Cut(s.rest, []byte("\n"))
		if !complete {
			return len(b), nil
		}
		s.log.line(string(line))
		s.rest = append([]byte(nil), rest...)
	}
}
