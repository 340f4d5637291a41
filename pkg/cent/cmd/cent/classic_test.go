package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// idle is a receiver that is never done.
type idle struct{}

func (idle) subscribed(func(context.Context) error) (bool, error) { return false, nil }
func (idle) message(delivery) (bool, error)                       { return false, nil }

// TestClassicFrames connects to a server that sends single pushes and several in a frame. The
// output has a line for each message, and ends with the fourth.
func TestClassicFrames(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for _, exchange := range []struct {
			receives string
			sends    []string
		}{
			{`{"id":"auth","method":"auth","params":{"batch":true,"permissions":{},"project_id":"p","token":"t","user":"u"}}`,
				[]string{`{"ack":true,"id":"auth","method":"auth","result":true,"error":null}`}},
			{`{"id":"subscribe","method":"subscribe","params":{"to":{"c":["x"]}}}`, []string{
				`{"ack":true,"id":"subscribe","method":"subscribe","result":true,"error":null}`,
				`{"category":"c","channel":"x","event_id":"1","data":1}`,
				`[{"category":"c","channel":"x","event_id":"2","data":{"n":1.50},"offset":1,"epoch":"e"},` +
					`{"category":"c","channel":"x","event_id":"3","event":"join","client":{}},` +
					`{"category":"c","channel":"x","event_id":"4","data":3,"offset":2,"epoch":"e","tags":{"kind":"goal"}}]`,
				`[{"category":"c","channel":"x","event_id":"5","data":4},{"category":"c","channel":"x","event_id":"6","data":5}]`,
			}},
		} {
			_, b, err := conn.Read(r.Context())
			if err != nil || string(b) != exchange.receives {
				t.Errorf("received %s, error %v; expected %s", b, err, exchange.receives)
			}
			for _, frame := range exchange.sends {
				if err := conn.Write(r.Context(), websocket.MessageText, []byte(frame)); err != nil {
					t.Error(err)
				}
			}
		}
		_, _, _ = conn.Read(r.Context()) // the closing handshake
	}))
	t.Cleanup(server.Close)
	var stdout, stderr bytes.Buffer
	s := session{world: world{stdout: &stdout, stderr: &stderr}}
	s.Project, s.WebSocket, s.Timeout = "p", "ws"+strings.TrimPrefix(server.URL, "http"), 10*time.Second
	l, err := s.listener(listenerOptions{user: "u", token: "t", channels: []string{"c:x"}, classic: true}, &printer{s: &s, names: "c:x", left: 4})
	if err != nil {
		t.Fatal(err)
	}
	if subscribed, err := l.listen(t.Context()); err != nil || !subscribed {
		t.Errorf("subscribed %t, error %v", subscribed, err)
	}
	want := `{"channel":"c:x","event_id":"1","data":1}
{"channel":"c:x","event_id":"2","data":{"n":1.50},"offset":1,"epoch":"e"}
{"channel":"c:x","event_id":"4","data":3,"offset":2,"epoch":"e"}
{"channel":"c:x","event_id":"5","data":4}
`
	if stdout.String() != want || stderr.String() != "cent: subscribed to c:x\n" {
		t.Errorf("printed %s and %q, expected %s", &stdout, &stderr, want)
	}
}

func TestDecodeFramesRefuses(t *testing.T) {
	for frame, want := range map[string]string{
		``:            "decode a frame: unexpected end of JSON input",
		`[]`:          "decode a frame: it is an empty array",
		` [1]`:        "decode a frame: json: cannot unmarshal number into Go value of type main.frame",
		`[{}`:         "decode a frame: unexpected end of JSON input",
		`"a message"`: "decode a frame: json: cannot unmarshal string into Go value of type main.frame",
	} {
		t.Run(frame, func(t *testing.T) {
			if frames, err := decodeFrames([]byte(frame)); err == nil || err.Error() != want || frames != nil {
				t.Errorf("%v, error %v, expected %s", frames, err, want)
			}
		})
	}
}

// TestClassicPings connects to a server that records what it receives after subscribe.
func TestClassicPings(t *testing.T) {
	frames := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		read := func() string {
			_, b, err := conn.Read(r.Context())
			if err != nil {
				t.Error(err)
			}
			return string(b)
		}
		send := func(frame string) {
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(frame)); err != nil {
				t.Error(err)
			}
		}
		authenticated, subscribed := false, false
		for !subscribed {
			switch frame := read(); {
			case strings.Contains(frame, `"auth"`):
				authenticated = true
				send(`{"ack":true,"id":"auth","method":"auth","result":true,"error":null}`)
			case authenticated && strings.Contains(frame, `"subscribe"`):
				subscribed = true
				send(`{"ack":true,"id":"subscribe","method":"subscribe","result":true,"error":null}`)
			}
		}
		frames <- read()
		send(`{"ack":true,"id":"settle","method":"subscribe","result":true,"error":null}`)
		_, _, _ = conn.Read(r.Context()) // the closing handshake
	}))
	t.Cleanup(server.Close)
	l := &classic{
		dialer: dialer{"ws" + strings.TrimPrefix(server.URL, "http"), 10 * time.Second}, keepAlive: time.Millisecond, receiver: idle{},
		auth: []byte(`{"id":"auth","method":"auth"}`), subscribe: []byte(`{"id":"subscribe","method":"subscribe"}`),
	}
	if subscribed, err := l.listen(t.Context()); err != nil || !subscribed {
		t.Errorf("subscribed %t, error %v", subscribed, err)
	}
	if frame := <-frames; frame != `{"method":"ping"}` {
		t.Errorf("received %s", frame)
	}
}
