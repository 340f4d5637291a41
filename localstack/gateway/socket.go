package gateway

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

const (
	// closeTimeout limits the time from the close of a connection until the client
	// has received its queued messages and answered the close frame.
	closeTimeout = 2 * time.Second
	// maxInvocations limits the concurrent invocations of one connection. At the limit
	// the gateway stops reading, so that a client cannot start goroutines without
	// bound. AWS limits the invocations of the account instead.
	maxInvocations = 128
)

// socket is the connection of one client, from $connect to $disconnect. Three
// goroutines serve it: the one of the handshake reads, one writes, one enforces the
// timeouts.
type socket struct {
	gw          *Gateway
	id          string
	peer        peer
	connectedAt time.Time
	lastActive  atomic.Int64 // time of the client's last message, as a duration since connectedAt

	queue       *sendQueue
	closed      chan struct{} // closed with the queue
	invocations chan struct{} // a semaphore of maxInvocations slots
}

func newSocket(g *Gateway, r *http.Request) *socket {
	return &socket{
		gw:          g,
		id:          newID(),
		peer:        peerOf(r),
		connectedAt: time.Now(),
		queue:       newSendQueue(g.opts.Buffer),
		closed:      make(chan struct{}),
		invocations: make(chan struct{}, maxInvocations),
	}
}

// serveSocket serves a client from handshake to $disconnect.
func (g *Gateway) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !g.startWork() {
		writeMessage(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	defer g.running.Done()
	if status := handshakeError(r); status != 0 {
		writeMessage(w, status, http.StatusText(status))
		return
	}

	s := newSocket(g, r)
	if !g.invokeConnect(w, r, s) {
		return
	}
	defer g.invokeDisconnect(s)
	if !g.register(s) {
		s.close(goingAway)
		writeMessage(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}

	up := &upgrade{ResponseWriter: w}
	// API Gateway does not check the Origin; $connect must.
	conn, err := websocket.Accept(up, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.close(abnormal)
		return
	}
	conn.SetReadLimit(-1) // the frameConn enforces the limits
	s.run(conn, up.conn)
}

// run serves the open connection until it ends.
func (s *socket) run(conn *websocket.Conn, frames *frameConn) {
	done := make(chan struct{})
	go s.enforceTimeouts(frames.Conn, done)
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.write(conn, frames.Conn)
	}()

	s.close(s.read(conn, frames))
	<-written
	_ = conn.CloseNow()
	close(done)
}

// close makes later posts fail with errGone and closes the connection after the
// queued messages are written. Only the first call has an effect.
func (s *socket) close(cause closeCause) {
	if s.queue.close(cause) {
		s.gw.unregister(s)
		close(s.closed)
	}
}

// post queues a message for the client. It fails with errGone or errQueueFull.
func (s *socket) post(message []byte) error {
	return s.queue.add(message)
}

// recordActivity restarts the idle timeout.
func (s *socket) recordActivity() {
	s.lastActive.Store(int64(time.Since(s.connectedAt)))
}

func (s *socket) lastActiveAt() time.Time {
	return s.connectedAt.Add(time.Duration(s.lastActive.Load()))
}

// read invokes a function for each message, without waiting for earlier invocations,
// and returns why the connection ended.
func (s *socket) read(conn *websocket.Conn, frames *frameConn) closeCause {
	for {
		_, body, err := conn.Read(context.Background())
		if err != nil {
			return frames.closeCause(err)
		}
		if !utf8.Valid(body) {
			return notText
		}
		s.recordActivity()
		received := time.Now()
		select {
		case s.invocations <- struct{}{}:
		case <-s.closed:
			return goingAway
		}
		s.gw.running.Go(func() {
			s.gw.handleMessage(s, body, received)
			<-s.invocations
		})
	}
}

// write writes the queued messages in order, and then the close frame.
func (s *socket) write(conn *websocket.Conn, raw net.Conn) {
	var batch [][]byte
	for {
		batch = s.queue.take(batch)
		if batch == nil {
			break
		}
		for _, message := range batch {
			if err := send(conn, message); err != nil {
				// This makes read fail, which closes the socket.
				_ = raw.Close()
				return
			}
			s.queue.release(message)
		}
	}
	if cause := s.queue.closeCause(); !cause.byClient {
		_ = conn.Close(cause.code, cause.reason)
	}
}

// send writes one text message in frames of at most MaxFrameBytes.
func send(conn *websocket.Conn, message []byte) error {
	ctx := context.Background()
	if len(message) <= MaxFrameBytes {
		return conn.Write(ctx, websocket.MessageText, message)
	}
	w, err := conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for len(message) > 0 {
		n := min(len(message), MaxFrameBytes)
		if _, err := w.Write(message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return w.Close()
}

// enforceTimeouts closes the connection after the idle timeout or the lifetime, and
// cuts it when it takes longer than closeTimeout to close. done is closed when the
// connection has ended.
func (s *socket) enforceTimeouts(raw net.Conn, done <-chan struct{}) {
	timer := time.NewTimer(s.timeLeft())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if left := s.timeLeft(); left > 0 {
				timer.Reset(left)
			} else {
				s.close(goingAway)
			}
		case <-s.closed:
			timer.Reset(closeTimeout)
			select {
			case <-timer.C:
				_ = raw.Close()
			case <-done:
			}
			return
		}
	}
}

// timeLeft returns the time until the connection must be closed, if the client sends no
// further message.
func (s *socket) timeLeft() time.Duration {
	age := time.Since(s.connectedAt)
	idle := age - time.Duration(s.lastActive.Load())
	return min(s.gw.opts.Lifetime-age, s.gw.opts.IdleTimeout-idle)
}
