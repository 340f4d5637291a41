package stack_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
)

// TestHookEvents lets a client come and go. The webhook gets the events, signed.
func TestHookEvents(t *testing.T) {
	for name, l := range map[string]*stack.Lambda{
		"functions in one process": nil,
		"functions as processes":   {Bootstraps: stacktest.Bootstraps(t)},
	} {
		t.Run(name, func(t *testing.T) { testHookEvents(t, l) })
	}
}

// hookEvent is what a webhook gets.
type hookEvent struct {
	Project  string `json:"project_id"`
	Category string `json:"category"`
	Channel  string `json:"channel"`
	Event    string `json:"event"`
	Client   struct {
		User string `json:"user"`
	} `json:"client"`
	Code     int    `json:"code"`
	Reason   string `json:"reason"`
	Sequence int64  `json:"sequence"`
}

func testHookEvents(t *testing.T, l *stack.Lambda) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events := make(chan hookEvent, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var e hookEvent
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil {
			t.Errorf("the webhook received %s, %v", body, err)
		}
		mac := hmac.New(sha256.New, []byte("demo-secret"))
		fmt.Fprintf(mac, "%s.%s\n", r.Header.Get("X-Centrifuge-Timestamp"), body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("X-Centrifuge-Signature") != want {
			t.Errorf("%s is not signed", body)
		}
		events <- e
	}))
	t.Cleanup(receiver.Close)
	s := stacktest.Start(t, stack.Options{Lambda: l, Log: os.Stderr, Seed: stacktest.Seed(t,
		`{"name": "news", "publish_to_admins": true}`, `{"name": "news", "unsubscribe_events": true, "occupancy_events": true}`,
		`"validate_url"`, `"webhook_url": "`+receiver.URL+`", "disconnect_events": true, "validate_url"`)})
	// next are the next events, in the order of their names: EventBridge may change it.
	next := func(n int) (all []hookEvent) {
		for range n {
			select {
			case e := <-events:
				all = append(all, e)
			case <-ctx.Done():
				t.Fatalf("the webhook received only %v", all)
			}
		}
		slices.SortFunc(all, func(a, b hookEvent) int { return len(a.Event) - len(b.Event) })
		return all
	}
	var conn *websocket.Conn
	send := func(frames ...string) {
		t.Helper()
		for _, frame := range frames {
			if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := conn.Read(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	conn, _, err := websocket.Dial(ctx, s.WebSocketURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	send(
		fmt.Sprintf(`{"id":"1","method":"auth","params":{"token":%q,"user":"ada","project_id":"demo","permissions":{}}}`, auth.SignToken("demo-secret", "ada", "demo")),
		`{"id":"2","method":"subscribe","params":{"to":{"news":["x"],"chat":["x"]}}}`,
	)
	occupied := next(1)
	send(`{"id":"3","method":"unsubscribe","params":{"from":{"news":["x"],"chat":["x"]}}}`)
	unsubscribed := next(2)
	send(`{"id":"4","method":"subscribe","params":{"to":{"news":["x"]}}}`)
	again := next(1)
	if err := conn.Close(websocket.StatusGoingAway, "bye"); err != nil {
		t.Fatal(err)
	}
	disconnected := next(3)
	all := slices.Concat(occupied, unsubscribed, again, disconnected)
	var got []string
	for _, e := range all {
		text := fmt.Sprintf("%s %s:%s", e.Event, e.Category, e.Channel)
		if e.Sequence > 0 {
			text += fmt.Sprintf(" number %d", e.Sequence-all[0].Sequence)
		} else {
			text += fmt.Sprintf(" %s %d %s", e.Client.User, e.Code, e.Reason)
		}
		if got = append(got, text); e.Project != "demo" {
			t.Errorf("event of project %s", e.Project)
		}
	}
	if diff := cmp.Diff([]string{
		"occupied news:x number 0",
		"vacated news:x number 1", "unsubscribe news:x ada 0 client unsubscribe",
		"occupied news:x number 2",
		"vacated news:x number 3", "disconnect : ada 1001 bye", "unsubscribe news:x ada 1 disconnect",
	}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(events) > 0 {
		t.Errorf("the webhook received another event: %+v", <-events)
	}
}
