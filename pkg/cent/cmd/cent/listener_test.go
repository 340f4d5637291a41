package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// replies is a receiver that is done after the reply to "done".
type replies struct{}

func (replies) subscribed(func(context.Context, []byte) error) {}
func (replies) message(frame) (bool, error)                    { return false, nil }
func (replies) replied(id string) bool                         { return id == "done" }

// TestListenerPings connects to a server that records what it receives after subscribe.
func TestListenerPings(t *testing.T) {
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
		send(`{"ack":true,"id":"done","method":"subscribe","result":true,"error":null}`)
		_, _, _ = conn.Read(r.Context()) // the closing handshake
	}))
	t.Cleanup(server.Close)
	l := &listener{
		websocket: "ws" + strings.TrimPrefix(server.URL, "http"), timeout: 10 * time.Second, keepAlive: time.Millisecond, receiver: replies{},
		auth: []byte(`{"id":"auth","method":"auth"}`), subscribe: []byte(`{"id":"subscribe","method":"subscribe"}`),
	}
	if subscribed, err := l.listen(t.Context()); err != nil || !subscribed {
		t.Errorf("subscribed %t, error %v", subscribed, err)
	}
	if frame := <-frames; frame != `{"method":"ping"}` {
		t.Errorf("received %s", frame)
	}
}
