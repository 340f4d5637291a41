package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// closure is why a connection ended: a close code of RFC 6455 section 7.4 and its
// reason.
type closure struct {
	code   websocket.StatusCode
	reason string
	// remote says that there is nobody left to send a close frame to.
	remote bool
}

// The closures by the gateway. The idle and the two-hour limit say "Going away";
// codes for frames are those of AWS's quotas page.
var (
	goingAway     = closure{code: websocket.StatusGoingAway, reason: "Going away"}
	deleted       = closure{code: websocket.StatusNormalClosure}
	malformed     = closure{code: websocket.StatusProtocolError, reason: "Malformed frame"}
	binaryFrame   = closure{code: websocket.StatusUnsupportedData, reason: "Binary frames are not supported"}
	notText       = closure{code: websocket.StatusInvalidFramePayloadData, reason: "Text is not UTF-8"}
	frameTooBig   = closure{code: websocket.StatusMessageTooBig, reason: "Frame exceeds 32 KB"}
	messageTooBig = closure{code: websocket.StatusMessageTooBig, reason: "Message exceeds 128 KB"}
	abnormal      = closure{code: websocket.StatusAbnormalClosure, reason: "Connection closed abnormally", remote: true}
)

// errForbiddenFrame ends the reading of a frameConn once.
var errForbiddenFrame = errors.New("frame against the rules")

// frameConn is a client's connection that looks at the header of each frame before
// the WebSocket library gets it: the library shows messages, while API Gateway
// limits frames.
//
// A frame against the rules is announced by errForbiddenFrame at its first byte.
// What is read after that is not looked at any more: it is the rest of the stream
// in which a close handshake waits for the client's close frame.
type frameConn struct {
	net.Conn
	in *bufio.Reader

	left    uint64 // of the frame being delivered, its header included
	message uint64 // payload of the frames of the current message
	broken  *closure
}

// Read delivers bytes of at most one frame. Only one goroutine may call it.
func (c *frameConn) Read(p []byte) (int, error) {
	if c.broken != nil {
		return c.in.Read(p)
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if uint64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.in.Read(p)
	c.left -= uint64(n)
	return n, err
}

// next judges the frame that begins here, RFC 6455 section 5.2, and leaves its
// header unread.
func (c *frameConn) next() error {
	head, err := c.in.Peek(2)
	if err != nil {
		return err
	}
	fin, rsv, opcode := head[0]&0x80 != 0, head[0]&0x70, head[0]&0x0f
	masked, size := head[1]&0x80 != 0, uint64(head[1]&0x7f)

	extended := 0
	switch size {
	case 126:
		extended = 2
	case 127:
		extended = 8
	}
	if extended > 0 {
		if head, err = c.in.Peek(2 + extended); err != nil {
			return err
		}
		if extended == 2 {
			size = uint64(binary.BigEndian.Uint16(head[2:]))
		} else {
			size = binary.BigEndian.Uint64(head[2:])
		}
	}

	const text, binaryData, control = 1, 2, 8
	if opcode < control {
		if opcode != 0 {
			c.message = 0
		}
		c.message += min(size, MaxMessageBytes+1)
	}
	switch {
	case rsv != 0, !masked:
		c.broken = &malformed
	case opcode == binaryData:
		c.broken = &binaryFrame
	case opcode > text && opcode < control, opcode > control+2:
		c.broken = &malformed
	case opcode >= control && (size > 125 || !fin):
		c.broken = &malformed
	case size > MaxFrameBytes:
		c.broken = &frameTooBig
	case opcode < control && c.message > MaxMessageBytes:
		c.broken = &messageTooBig
	}
	if c.broken != nil {
		return errForbiddenFrame
	}
	const mask = 4
	c.left = 2 + uint64(extended) + mask + size
	return nil
}

// closure tells why reading ended with err.
func (c *frameConn) closure(err error) closure {
	if c.broken != nil {
		return *c.broken
	}
	var closed websocket.CloseError
	switch {
	case !errors.As(err, &closed):
		return abnormal
	case closed.Code == websocket.StatusNoStatusRcvd:
		// AWS's own words, in $disconnect, for a client that gave no code.
		return closure{closed.Code, "Client-side close frame status not set", true}
	default:
		return closure{closed.Code, closed.Reason, true}
	}
}

// upgrade is the response of a handshake, which slips a frameConn between the
// client and the WebSocket library.
type upgrade struct {
	http.ResponseWriter
	conn *frameConn
}

// Hijack takes the client's connection over, with what was read of it already.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.conn = &frameConn{Conn: conn, in: buffers.Reader}
	// The frameConn's reader is the buffer that matters; a second large one for each
	// of many thousand sockets would be wasted.
	return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, 64), buffers.Writer), nil
}
