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

// frame builds a frame with a payload of size zeros, and a mask.
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

// readFrames reads all that a frameConn delivers of a stream before it objects or
// ends, and what it delivers after it has objected.
func readFrames(stream io.Reader) (judged, rest []byte, broken *closure) {
	c := &frameConn{in: bufio.NewReader(stream)}
	judged, err := io.ReadAll(c)
	if errors.Is(err, errForbiddenFrame) {
		rest, _ = io.ReadAll(c)
	}
	return judged, rest, c.broken
}

func TestFramesAreJudgedByTheirHeaders(t *testing.T) {
	t.Parallel()
	const fin, text, bin, closing, ping, rsv1 = 0x80, 1, 2, 8, 9, 0x40
	good := frame(fin|text, 10)
	cases := []struct {
		name   string
		passes [][]byte
		bad    []byte
		want   *closure
	}{
		{"text passes", [][]byte{good, frame(fin|text, 0), frame(fin|text, 126), frame(fin|text, MaxFrameBytes)}, nil, nil},
		{"control frames pass between fragments", [][]byte{frame(text, 1), frame(fin|ping, 125), frame(fin, 1)}, nil, nil},
		{"a close frame passes", [][]byte{frame(fin|closing, 2)}, nil, nil},
		{"each message counts for itself", [][]byte{
			frame(text, MaxFrameBytes), frame(0, MaxFrameBytes), frame(0, MaxFrameBytes), frame(fin, MaxFrameBytes),
			frame(text, MaxFrameBytes), frame(0, MaxFrameBytes), frame(0, MaxFrameBytes), frame(fin, MaxFrameBytes),
		}, nil, nil},
		{"a large frame", [][]byte{good}, frame(fin|text, MaxFrameBytes+1), &frameTooBig},
		{"a huge frame", [][]byte{good}, frame(fin|text, 1<<63+1), &frameTooBig},
		{"a large fragment", [][]byte{frame(text, 1)}, frame(fin, MaxFrameBytes+1), &frameTooBig},
		{"a large message", [][]byte{
			frame(text, MaxFrameBytes), frame(0, MaxFrameBytes), frame(fin|ping, 5), frame(0, MaxFrameBytes), frame(0, MaxFrameBytes),
		}, frame(fin, 1), &messageTooBig},
		{"binary", [][]byte{good}, frame(fin|bin, 1), &binaryFrame},
		{"no mask", [][]byte{good}, []byte{fin | text, 1, 'x'}, &malformed},
		{"a reserved bit", [][]byte{good}, frame(fin|text|rsv1, 1), &malformed},
		{"a reserved opcode", [][]byte{good}, frame(fin|3, 1), &malformed},
		{"a reserved control opcode", [][]byte{good}, frame(fin|11, 1), &malformed},
		{"a large ping", [][]byte{good}, frame(fin|ping, 126), &malformed},
		{"a ping in fragments", [][]byte{good}, frame(ping, 1), &malformed},
	}
	for _, c := range cases {
		passes := bytes.Join(c.passes, nil)
		for name, stream := range map[string]io.Reader{
			"at once":      io.MultiReader(bytes.NewReader(passes), bytes.NewReader(c.bad)),
			"byte by byte": iotest.OneByteReader(io.MultiReader(bytes.NewReader(passes), bytes.NewReader(c.bad))),
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				judged, rest, broken := readFrames(stream)
				if !bytes.Equal(passes, judged) {
					t.Errorf("%d bytes passed, want %d", len(judged), len(passes))
				}
				if !bytes.Equal(c.bad, rest) {
					t.Errorf("%d bytes are left, want %d", len(rest), len(c.bad))
				}
				if broken != c.want {
					t.Errorf("judged %v, want %v", broken, c.want)
				}
			})
		}
	}
}

func TestTheReasonIsWhatEndedTheReading(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		broken *closure
		err    error
		want   closure
	}{
		{"a frame against the rules", &binaryFrame, errForbiddenFrame, binaryFrame},
		{"a close frame", nil, websocket.CloseError{Code: 4000, Reason: "bye"}, closure{4000, "bye", true}},
		{"a close frame without a code", nil, websocket.CloseError{Code: 1005}, closure{1005, "Client-side close frame status not set", true}},
		{"the end of the stream", nil, io.EOF, abnormal},
		{"a reset", nil, net.ErrClosed, abnormal},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := (&frameConn{broken: c.broken}).closure(c.err)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(closure{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzFrames holds the frameConn against any stream: it invents and swallows
// nothing, does not depend on how the stream is cut, and lets no large frame pass.
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
		judged, rest, broken := readFrames(bytes.NewReader(stream))
		if broken != nil && !bytes.Equal(stream, append(judged, rest...)) {
			t.Errorf("%d bytes became %d and %d", len(stream), len(judged), len(rest))
		}
		if broken == nil && !bytes.HasPrefix(stream, judged) {
			t.Error("bytes were invented")
		}
		again, _, brokenAgain := readFrames(iotest.OneByteReader(bytes.NewReader(stream)))
		if !bytes.Equal(judged, again) || broken != brokenAgain {
			t.Errorf("byte by byte %d bytes and %v, at once %d and %v", len(again), brokenAgain, len(judged), broken)
		}

		// Walk what passed with the plainest reading of RFC 6455.
		for message := 0; len(judged) >= 2; {
			opcode, size, header := judged[0]&0x0f, int(judged[1]&0x7f), 6
			switch {
			case size == 126 && len(judged) >= 4:
				size, header = int(binary.BigEndian.Uint16(judged[2:])), 8
			case size == 127 && len(judged) >= 10:
				size, header = int(binary.BigEndian.Uint64(judged[2:])), 14
			}
			if opcode == 1 {
				message = 0
			}
			if opcode <= 1 {
				message += size
			}
			if opcode == 2 || size < 0 || size > MaxFrameBytes || message > MaxMessageBytes || judged[1]&0x80 == 0 {
				t.Fatalf("a frame of opcode %d and %d bytes passed", opcode, size)
			}
			judged = judged[min(len(judged), header+size):]
		}
	})
}
