package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// frame returns a masked frame with a payload of size zeros.
func frame(first byte, size uint64) []byte {
	b := []byte{first}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), size)
	}
	b = append(b, 1, 2, 3, 4)
	return append(b, make([]byte, min(size, 1<<20))...)
}

// readFrames reads a stream through a frameConn: the bytes before the first invalid
// frame, the rest, and the violation.
func readFrames(stream io.Reader) (valid, rest []byte, violation *closeCause) {
	c := &frameConn{in: bufio.NewReader(stream)}
	valid, err := io.ReadAll(c)
	if errors.Is(err, errFrameViolation) {
		rest, _ = io.ReadAll(c)
	}
	return valid, rest, c.violation
}

func TestFrameValidation(t *testing.T) {
	t.Parallel()
	const fin, text, bin, closing, ping, rsv1 = 0x80, 1, 2, 8, 9, 0x40
	good := frame(fin|text, 10)
	cases := []struct {
		name    string
		valid   [][]byte
		invalid []byte
		want    *closeCause
	}{
		{"text frames", [][]byte{good, frame(fin|text, 0), frame(fin|text, 126), frame(fin|text, MaxFrameBytes)}, nil, nil},
		{"control frames between fragments", [][]byte{frame(text, 1), frame(fin|ping, 125), frame(fin, 1)}, nil, nil},
		{"a close frame", [][]byte{frame(fin|closing, 2)}, nil, nil},
		{"two messages of the largest size", [][]byte{
			frame(text, MaxFrameBytes), frame(0, MaxFrameBytes), frame(0, MaxFrameBytes), frame(fin, MaxFrameBytes),
			frame(text, MaxFrameBytes), frame(0, MaxFrameBytes), frame(0, MaxFrameBytes), frame(fin, MaxFrameBytes),
		}, nil, nil},
		{"a frame over 32 KB", [][]byte{good}, frame(fin|text, MaxFrameBytes+1), &frameTooLarge},
		{"a frame of 2^63 bytes", [][]byte{good}, frame(fin|text, 1<<63+1), &frameTooLarge},
		{"a fragment over 32 KB", [][]byte{frame(text, 1)}, frame(fin, MaxFrameBytes+1), &frameTooLarge},
		{"a message over 128 KB", [][]byte{
			frame(text, MaxFrameBytes), frame(0, MaxFrameBytes), frame(fin|ping, 5), frame(0, MaxFrameBytes), frame(0, MaxFrameBytes),
		}, frame(fin, 1), &messageTooLarge},
		{"binary", [][]byte{good}, frame(fin|bin, 1), &binaryFrame},
		{"no mask", [][]byte{good}, []byte{fin | text, 1, 'x'}, &malformed},
		{"a reserved bit", [][]byte{good}, frame(fin|text|rsv1, 1), &malformed},
		{"a reserved opcode", [][]byte{good}, frame(fin|3, 1), &malformed},
		{"a reserved control opcode", [][]byte{good}, frame(fin|11, 1), &malformed},
		{"a ping over 125 bytes", [][]byte{good}, frame(fin|ping, 126), &malformed},
		{"a fragmented ping", [][]byte{good}, frame(ping, 1), &malformed},
	}
	for _, c := range cases {
		want := bytes.Join(c.valid, nil)
		for name, stream := range map[string]io.Reader{
			"in one piece": io.MultiReader(bytes.NewReader(want), bytes.NewReader(c.invalid)),
			"byte by byte": iotest.OneByteReader(io.MultiReader(bytes.NewReader(want), bytes.NewReader(c.invalid))),
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				valid, rest, violation := readFrames(stream)
				if !bytes.Equal(want, valid) {
					t.Errorf("%d valid bytes, want %d", len(valid), len(want))
				}
				if !bytes.Equal(c.invalid, rest) {
					t.Errorf("%d bytes after the violation, want %d", len(rest), len(c.invalid))
				}
				if violation != c.want {
					t.Errorf("violation %v, want %v", violation, c.want)
				}
			})
		}
	}
}

func TestCloseCause(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		violation *closeCause
		err       error
		want      closeCause
	}{
		{"an invalid frame", &binaryFrame, errFrameViolation, binaryFrame},
		{"a close frame", nil, websocket.CloseError{Code: 4000, Reason: "bye"}, closeCause{4000, "bye", true}},
		{"a close frame without a code", nil, websocket.CloseError{Code: 1005}, closeCause{1005, "Client-side close frame status not set", true}},
		{"the end of the stream", nil, io.EOF, abnormal},
		{"a reset", nil, net.ErrClosed, abnormal},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := (&frameConn{violation: c.violation}).closeCause(c.err)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(closeCause{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzFrames checks for any stream that a frameConn neither adds nor drops bytes,
// that the result does not depend on the sizes of reads, and that no invalid frame
// passes.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{})
	f.Add(frame(0x81, 10))
	f.Add(append(frame(0x01, 200), frame(0x80, 70000)[:20]...))
	f.Add(frame(0x81, 1<<63)[:20])
	f.Add([]byte{0x82, 0x80})
	f.Add([]byte{0x81, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 4<<10 {
			return // reading it byte by byte takes too long
		}
		valid, rest, violation := readFrames(bytes.NewReader(stream))
		if violation != nil && !bytes.Equal(stream, append(valid, rest...)) {
			t.Errorf("%d bytes became %d and %d", len(stream), len(valid), len(rest))
		}
		if violation == nil && !bytes.HasPrefix(stream, valid) {
			t.Error("the frameConn returned bytes that the stream does not have")
		}
		again, _, violationAgain := readFrames(iotest.OneByteReader(bytes.NewReader(stream)))
		if !bytes.Equal(valid, again) || violation != violationAgain {
			t.Errorf("byte by byte %d bytes and %v, in one piece %d and %v", len(again), violationAgain, len(valid), violation)
		}

		// Parse the valid frames again, with a simple parser of RFC 6455.
		for message := 0; len(valid) >= 2; {
			opcode, size, header := valid[0]&0x0f, int(valid[1]&0x7f), 6
			switch {
			case size == 126 && len(valid) >= 4:
				size, header = int(binary.BigEndian.Uint16(valid[2:])), 8
			case size == 127 && len(valid) >= 10:
				size, header = int(binary.BigEndian.Uint64(valid[2:])), 14
			}
			if opcode == 1 {
				message = 0
			}
			if opcode <= 1 {
				message += size
			}
			if opcode == 2 || size < 0 || size > MaxFrameBytes || message > MaxMessageBytes || valid[1]&0x80 == 0 {
				t.Fatalf("a frame of opcode %d and %d bytes passed", opcode, size)
			}
			valid = valid[min(len(valid), header+size):]
		}
	})
}
