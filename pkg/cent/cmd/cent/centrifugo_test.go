package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/coder/websocket"
)

// anyID is the id of a command in a script: the SDK takes some for commands that it does not
// send.
const anyID = `"id":N`

var number = regexp.MustCompile(`"id":\d+`)

// script is a server that receives and sends frames in turn, once for each connection.
type script []exchange

type exchange struct {
	receives string
	sends    []string
}

// serve starts a server for one connection after another, each with its script. The last one
// stays open until the client closes it; the others are closed by the server. It returns the
// address of the WebSocket.
func serve(t *testing.T, connections ...script) string {
	t.Helper()
	scripts := make(chan script, len(connections))
	for _, s := range connections {
		scripts <- s
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		if project := r.URL.Query().Get("project"); project != "p" {
			t.Errorf("project %q", project)
		}
		for _, e := range <-scripts {
			_, b, err := conn.Read(r.Context())
			got := strings.TrimSpace(string(b))
			id := number.FindString(got)
			if id != "" {
				got = strings.Replace(got, id, anyID, 1)
			}
			if err != nil || got != e.receives {
				t.Errorf("received %s, error %v; expected %s", got, err, e.receives)
			}
			for _, frame := range e.sends {
				if err := conn.Write(r.Context(), websocket.MessageText, []byte(strings.ReplaceAll(frame, anyID, id))); err != nil {
					t.Error(err)
				}
			}
		}
		if len(scripts) == 0 {
			_, _, _ = conn.Read(r.Context()) // the closing handshake
		}
		_ = conn.Close(websocket.StatusNormalClosure, "") // as DeleteConnection of API Gateway does
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// TestCentrifugoFrames has a server lose a connection and a position. The notes say what became of
// the messages.
func TestCentrifugoFrames(t *testing.T) {
	const connect = `,"connect":{"token":"a.b.c","name":"cent"}}`
	var stdout, stderr bytes.Buffer
	s := session{world: world{stdout: &stdout, stderr: &stderr, backOff: time.Millisecond}}
	s.Project, s.Timeout = "p", 10*time.Second
	s.WebSocket = serve(t,
		script{
			{`{"id":N` + connect, []string{`{"id":N,"connect":{"client":"k","ping":7200,"pong":true}}`}},
			{`{"id":N,"subscribe":{"channel":"c:x","positioned":true,"recoverable":true}}`, []string{
				`{"id":N,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":4}}` + "\n" +
					`{"push":{"channel":"c:x","pub":{"data":{"n":1.50},"offset":5}}}`,
				`{"push":{"channel":"c:x","unsubscribe":{"code":2500,"reason":"insufficient state"}}}`,
			}},
			{`{"id":N,"subscribe":{"channel":"c:x","recover":true,"epoch":"e","offset":5,"positioned":true,"recoverable":true}}`, []string{
				`{"id":N,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":5,"recovered":true,"was_recovering":true,"publications":[{"data":2,"offset":6}]}}`,
			}},
		},
		script{
			{`{"id":N` + connect, []string{`{"id":N,"error":{"code":100,"message":"internal server error","temporary":true}}`}},
		},
		script{
			{`{"id":N` + connect, []string{`{"id":N,"connect":{"client":"l","ping":7200,"pong":true}}`}},
			{`{"id":N,"subscribe":{"channel":"c:x","recover":true,"epoch":"e","offset":6,"positioned":true,"recoverable":true}}`, []string{
				`{"id":N,"subscribe":{"recoverable":true,"positioned":true,"epoch":"f","offset":1,"was_recovering":true}}`,
				`{"push":{"channel":"c:x","pub":{"data":3,"offset":2}}}` + "\n" + `{"push":{"channel":"c:x","pub":{"data":4,"offset":3}}}`,
			}},
		},
	)
	l, err := s.listener(listenerOptions{token: "a.b.c", channels: []string{"c:x"}, attempts: 1, again: true}, &printer{s: &s, names: "c:x", left: 3})
	if err != nil {
		t.Fatal(err)
	}
	if subscribed, err := l.listen(t.Context()); err != nil || !subscribed {
		t.Errorf("subscribed %t, error %v", subscribed, err)
	}
	const messages = `{"channel":"c:x","data":{"n":1.50},"offset":5,"epoch":"e"}
{"channel":"c:x","data":2,"offset":6,"epoch":"e"}
{"channel":"c:x","data":3,"offset":2,"epoch":"f"}
`
	const notes = `cent: subscribed to c:x
cent: c:x: insufficient state (code 2500); subscribing again
cent: subscribed to c:x again; no message is lost
cent: connection lost; connecting again
cent: connect: internal server error: try again, then read the logs of the service (code 100); connecting again
cent: subscribed to c:x again; messages are lost: the history does not have all of them any more
`
	if stdout.String() != messages {
		t.Errorf("printed %s, expected %s", &stdout, messages)
	}
	if stderr.String() != notes {
		t.Errorf("noted %s, expected %s", &stderr, notes)
	}
}

// TestCentrifugoKeepsOpen has a server that waits for the command that keeps the connection open, and
// then ends the subscription.
func TestCentrifugoKeepsOpen(t *testing.T) {
	s := session{world: world{stderr: new(bytes.Buffer)}}
	s.Project, s.Timeout = "p", 10*time.Second
	s.WebSocket = serve(t, script{
		{`{"id":N,"connect":{"token":"a.b.c","name":"cent"}}`, []string{`{"id":N,"connect":{"client":"k"}}`}},
		{`{"id":N,"subscribe":{"channel":"c:x","positioned":true,"recoverable":true}}`, []string{`{"id":N,"subscribe":{}}`}},
		{`{"id":N,"history":{"channel":"c:x"}}`, []string{
			`{"id":N,"error":{"code":108,"message":"not available"}}`,
			`{"push":{"channel":"c:x","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}`,
		}},
	})
	address, err := s.webSocketURL()
	if err != nil {
		t.Fatal(err)
	}
	l := s.centrifugo(listenerOptions{token: "a.b.c", channels: []string{"c:x"}, attempts: 1, again: true}, address, idle{})
	l.keepAlive = 20 * time.Millisecond
	subscribed, err := l.listen(t.Context())
	const want = "refused: c:x: server unsubscribe: the application removed the user from the channel (code 2000)"
	if !subscribed || err == nil || err.Error() != want {
		t.Errorf("subscribed %t, error %v, expected %s", subscribed, err, want)
	}
}

// TestCentrifugoGivesUp loses connections before the first subscribe has an outcome.
func TestCentrifugoGivesUp(t *testing.T) {
	lost, refusal := centrifuge.ConnectingEvent{Code: 1, Reason: "transport closed"}, centrifuge.ErrorEvent{
		Error: centrifuge.ConnectError{Err: &centrifuge.Error{Code: 100, Message: "internal server error", Temporary: true}}}
	for _, tt := range []struct {
		name  string
		event func(a *attendance)
		want  string
	}{
		{"a lost connection", func(a *attendance) { a.connecting(lost) }, "connection lost: transport closed"},
		{"a connect that fails", func(a *attendance) { a.failed(refusal) }, "connect: internal server error: try again, then read the logs of the service (code 100)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			l := &centrifugo{session: &session{world: world{stderr: &stderr}}, listenerOptions: listenerOptions{attempts: 2, again: true}}
			a := &attendance{centrifugo: l, ctx: t.Context(), ended: make(chan error, 1)}
			tt.event(a)
			if note := "cent: " + tt.want + "; connecting again\n"; stderr.String() != note || len(a.ended) > 0 {
				t.Errorf("noted %s, expected %s; ended %t", &stderr, note, len(a.ended) > 0)
			}
			tt.event(a)
			tt.event(a) // after the end, which is one
			if err := <-a.ended; err.Error() != tt.want {
				t.Errorf("error %v, expected %s", err, tt.want)
			}
		})
	}
}
