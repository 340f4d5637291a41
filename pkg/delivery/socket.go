package delivery

import (
	"context"
	"net"
	"syscall"
	"time"
)

// socket is a TCP connection, below TLS if that is used: so TLS, which a timeout would
// break, does not see that an exchange is overdue. One goroutine uses it at a time, except
// cut.
type socket struct {
	net.Conn
	raw   syscall.RawConn // nil where there is none
	polls bool            // Read does not wait: see poll
	// patience is how long an exchange may take before it is overdue.
	patience time.Duration

	// Of the exchange in progress:
	ctx      context.Context //nolint:containedctx // Read and Write have no parameter for it
	deadline time.Time
	overdue  func() // nil from when it was called
}

func newSocket(conn net.Conn, patience time.Duration) *socket {
	s := &socket{Conn: conn, patience: patience}
	if c, ok := conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn()
	}
	return s
}

// begin begins an exchange, which fails at the deadline or when cut is called. When it has
// taken longer than patience, overdue is called, once.
func (s *socket) begin(ctx context.Context, deadline time.Time, overdue func()) error {
	s.ctx, s.deadline, s.overdue = ctx, deadline, overdue
	first := time.Now().Add(s.patience)
	if first.After(deadline) {
		first = deadline
	}
	return s.SetDeadline(first)
}

// cut ends the exchange in progress, whose ctx has ended.
func (s *socket) cut() { _ = s.SetDeadline(time.Unix(1, 0)) }

// Read has the contract of net.Conn. While polls is set it does not wait: it fails with
// os.ErrDeadlineExceeded where nothing has arrived.
func (s *socket) Read(b []byte) (int, error) {
	if s.polls {
		return s.poll(b)
	}
	n, err := s.Conn.Read(b)
	if n == 0 && s.waitsOn(err) {
		return s.Conn.Read(b)
	}
	return n, err
}

func (s *socket) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if s.waitsOn(err) {
		var rest int
		rest, err = s.Conn.Write(b[n:])
		n += rest
	}
	return n, err
}

// waitsOn reports whether the exchange was not overdue before err and waits until its
// deadline.
func (s *socket) waitsOn(err error) bool {
	if s.overdue == nil || !timedOut(err) || s.ctx.Err() != nil {
		return false
	}
	s.overdue()
	s.overdue = nil
	// If ctx ends now, this overwrites what cut did.
	return s.SetDeadline(s.deadline) == nil && s.ctx.Err() == nil
}
