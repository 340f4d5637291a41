package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// closeCause is why a connection ended: a close code of RFC 6455 section 7.4 and its
// reason.
type closeCause struct {
	code   websocket.StatusCode
	reason string
	// byClient is set when the client ended the connection, with a close frame or
	// without. The gateway then sends none.
	byClient bool
}

// The causes for which the gateway closes a connection, and abnormal for a client
// that ended it without a close frame. "Going away" is for the idle timeout and the
// two-hour limit. The codes for frames are those of the quotas page of AWS; the
// reasons are not documented there.
var (
	goingAway       = closeCause{code: websocket.StatusGoingAway, reason: "Going away"}
	deleted         = closeCause{code: websocket.StatusNormalClosure}
	malformed       = closeCause{code: websocket.StatusProtocolError, reason: "Malformed frame"}
	binaryFrame     = closeCause{code: websocket.StatusUnsupportedData, reason: "Binary frames are not supported"}
	notText         = closeCause{code: websocket.StatusInvalidFramePayloadData, reason: "Text is not UTF-8"}
	frameTooLarge   = closeCause{code: websocket.StatusMessageTooBig, reason: "Frame exceeds 32 KB"}
	messageTooLarge = closeCause{code: websocket.StatusMessageTooBig, reason: "Message exceeds 128 KB"}
	abnormal        = closeCause{code: websocket.StatusAbnormalClosure, reason: "Connection closed abnormally", byClient: true}
)

// errFrameViolation is what Read of a frameConn returns for an invalid frame.
var errFrameViolation = errors.New("invalid frame")

// frameConn is a client's connection that checks the header of each frame before
// the WebSocket library reads it. The library shows messages only; API Gateway
// limits frames.
//
// At the first byte of an invalid frame, Read fails once with errFrameViolation.
// Later calls of Read return the rest of the stream unchecked: the close handshake
// searches it for the close frame of the client.
type frameConn struct {
	net.Conn
	in *bufio.Reader

	remaining   uint64 // bytes of the current frame that were not read, with its header
	messageSize uint64 // payload bytes of the current message so far
	violation   *closeCause
}

// Read returns bytes of at most one frame. Only one goroutine may call it.
func (c *frameConn) Read(p []byte) (int, error) {
	if c.violation != nil {
		return c.in.Read(p)
	}
	if c.remaining == 0 {
		if err := c.checkFrame(); err != nil {
			return 0, err
		}
	}
	if uint64(len(p)) > c.remaining {
		p = p[:c.remaining]
	}
	n, err := c.in.Read(p)
	c.remaining -= uint64(n)
	return n, err
}

// checkFrame checks the header of the next frame, RFC 6455 section 5.2, without
// consuming it.
func (c *frameConn) checkFrame() error {
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
			c.messageSize = 0
		}
		c.messageSize += min(size, MaxMessageBytes+1)
	}
	switch {
	case rsv != 0, !masked:
		c.violation = &malformed
	case opcode == binaryData:
		c.violation = &binaryFrame
	case opcode > text && opcode < control, opcode > control+2:
		c.violation = &malformed
	case opcode >= control && (size > 125 || !fin):
		c.violation = &malformed
	case size > MaxFrameBytes:
		c.violation = &frameTooLarge
	case opcode < control && c.messageSize > MaxMessageBytes:
		c.violation = &messageTooLarge
	}
	if c.violation != nil {
		return errFrameViolation
	}
	const mask = 4
	c.remaining = 2 + uint64(extended) + mask + size
	return nil
}

// closeCause returns why the connection ended, where Read failed with err.
func (c *frameConn) closeCause(err error) closeCause {
	if c.violation != nil {
		return *c.violation
	}
	var closed websocket.CloseError
	switch {
	case !errors.As(err, &closed):
		return abnormal
	case closed.Code == websocket.StatusNoStatusRcvd:
		// The reason that AWS passes to $disconnect for a client that sent no code.
		return closeCause{closed.Code, "Client-side close frame status not set", true}
	default:
		return closeCause{closed.Code, closed.Reason, true}
	}
}

// upgrade is the response writer of a handshake. It puts a frameConn between the
// client and the WebSocket library.
type upgrade struct {
	http.ResponseWriter
	conn *frameConn
}

// Hijack takes over the connection of the client, with the bytes that were already
// read from it.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.conn = &frameConn{Conn: conn, in: buffers.Reader}
	// The frameConn reads through the large buffer; a second large one would waste
	// memory with thousands of sockets.
	return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, 64), buffers.Writer), nil
}
