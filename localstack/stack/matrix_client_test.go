package stack_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// The rows of the matrix that begin with a client.

func subscribeFrame(channel string) string {
	return `{"method":"subscribe","params":{"to":{"chat":["` + channel + `"]}}}`
}

func unsubscribeFrame(channel string) string {
	return `{"method":"unsubscribe","params":{"from":{"chat":["` + channel + `"]}}}`
}

func broadcastFrame(channel string) string {
	return `{"method":"broadcast","params":{"category":"chat","channel":"` + channel + `","data":` + hello + `}}`
}

func presenceFrame(channel string) string {
	return `{"method":"presence","params":{"category":"room","channel":"` + channel + `"}}`
}

func connects(t *testing.T, c cell) {
	handshake := func() int {
		conn, response, err := websocket.Dial(t.Context(), c.WebSocketURL, nil)
		if err == nil {
			t.Cleanup(func() { _ = conn.CloseNow() })
		}
		if response == nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	c.do(func() {
		if status := handshake(); !slices.Contains([]int{http.StatusSwitchingProtocols, http.StatusInternalServerError, http.StatusBadGateway}, status) {
			t.Errorf("status %d", status)
		}
	})
	// A connection that was written has no socket. It is in no channel, and expires.
	if status := handshake(); status != http.StatusSwitchingProtocols {
		t.Errorf("repetition: status %d", status)
	}
}

func authenticates(t *testing.T, c cell) {
	conn := dial(t, c.Stack)
	c.converges(t, "auth", func() answer { return reply(t, conn, authFrame("")) })
	succeeds(t, conn, subscribeFrame(c.id))
	c.publishes(t, c.id, 1, conn)
}

// renews renews a token with one that grants one of the two channels that the connection is
// in. It never loses the other, and loses this one when the renewal is acknowledged.
func renews(t *testing.T, c cell) {
	kept, lost := c.id, c.id+"b"
	frame := func(exp time.Duration, channels ...string) string {
		token, err := auth.SignJWT("demo-secret", map[string]any{
			"sub": "ada", "exp": time.Now().Add(exp).Unix(), "permissions": map[string]any{"chat": channels},
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":"ada","project_id":"demo","permissions":{}}}`, token)
	}
	conn := dial(t, c.Stack)
	succeeds(t, conn, frame(time.Hour, kept, lost))
	for _, channel := range []string{kept, lost} {
		succeeds(t, conn, subscribeFrame(channel))
	}
	renewal := frame(2*time.Hour, kept)
	c.converges(t, "auth", func() answer {
		a := reply(t, conn, renewal)
		c.publishes(t, kept, 1, conn)
		return a
	})
	c.publishes(t, lost, 0)
	if a := reply(t, conn, subscribeFrame(lost)); !strings.Contains(a.text, `"refused"`) {
		t.Errorf("subscribe without a grant: %s", a.text)
	}
}

// expired connects a user of the cell to the channel of the cell, and ends its token, as
// time does.
func (c cell) expired(t *testing.T) *websocket.Conn {
	t.Helper()
	user := "u" + c.id
	conn := join(t, c.Stack, user, c.id)
	_, _, err := c.App.Store.ChangeConnection(t.Context(), c.connectionOf(t, "demo", user), func(state hub.Connection) (hub.Change, error) {
		change := hub.Change{Connection: state}
		change.TokenExpires = time.Now().Add(-time.Second)
		for ch := range state.Channels {
			change.Renew = append(change.Renew, ch)
		}
		return change, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.publishes(t, c.id, 0)
	return conn
}

func renewsExpired(t *testing.T, c cell) {
	conn := c.expired(t)
	c.converges(t, "auth", func() answer { return reply(t, conn, authFrame("u"+c.id)) })
	c.publishes(t, c.id, 1, conn)
}

// commandsExpired sends a command after the end of the token. It never succeeds.
func commandsExpired(frame func(channel string) string) func(*testing.T, cell) {
	return func(t *testing.T, c cell) {
		conn, other := c.expired(t), c.id+"b"
		var a answer
		c.do(func() { a = reply(t, conn, frame(other)) })
		if a.success {
			t.Errorf("answered %s", a.text)
		}
		if a = reply(t, conn, frame(other)); !strings.Contains(a.text, hub.ErrTokenExpired.Message) {
			t.Errorf("repeated: answered %s", a.text)
		}
		for _, channel := range []string{c.id, other} {
			c.publishes(t, channel, 0)
		}
		succeeds(t, conn, authFrame("u"+c.id))
		c.publishes(t, c.id, 1, conn)
	}
}

func subscribes(t *testing.T, c cell) {
	conn := join(t, c.Stack, "", c.id+"c")
	c.converges(t, "subscribe", func() answer { return reply(t, conn, subscribeFrame(c.id)) })
	c.publishes(t, c.id, 1, conn)
	succeeds(t, conn, unsubscribeFrame(c.id))
	c.publishes(t, c.id, 0)
	c.publishes(t, c.id+"c", 1, conn)
	c.hangUp(t, conn)
	c.publishes(t, c.id+"c", 0)
}

func unsubscribes(t *testing.T, c cell) {
	conn := join(t, c.Stack, "", c.id, c.id+"b")
	c.converges(t, "unsubscribe", func() answer { return reply(t, conn, unsubscribeFrame(c.id)) })
	c.publishes(t, c.id, 0)
	c.publishes(t, c.id+"b", 1, conn)
}

// disconnects ends a connection. The next message finishes what is left.
func disconnects(t *testing.T, c cell) {
	ada, bob := c.joins(t, "ada"), c.joins(t, "bob")
	c.do(func() { c.hangUp(t, bob) })
	c.roomWithout(t, ada, 1)
}

func readsPresence(t *testing.T, c cell) {
	conn := c.joins(t, "ada")
	a := c.converges(t, "presence", func() answer {
		text := command(t, conn, presenceFrame(c.id))
		listed := strings.Contains(text, `"user":"ada"`)
		return answer{text, listed || succeededIn(t, text)}
	})
	if !strings.Contains(a.text, `"user":"ada"`) {
		t.Errorf("answered %s", a.text)
	}
}

// floods sends a command on a connection that sends too fast, which closes it.
func floods(t *testing.T, c cell) {
	const debt, limit = time.Hour, 2 * time.Hour
	ada, bob := c.joins(t, "ada"), c.joins(t, "u"+c.id)
	if _, _, err := c.App.Store.Spend(t.Context(), c.connectionOf(t, "demo", "u"+c.id).ID, debt, limit, time.Now()); err != nil {
		t.Fatal(err)
	}
	ended := c.log.count("[disconnect] REPORT")
	refused := func() (open bool) {
		if err := bob.Write(t.Context(), websocket.MessageText, []byte(presenceFrame(c.id))); err != nil {
			return false
		}
		_, frame, err := bob.Read(t.Context())
		if err == nil && succeededIn(t, string(frame)) {
			t.Errorf("answered %s", frame)
		}
		return err == nil
	}
	open := false
	c.do(func() { open = refused() })
	if open {
		open = refused()
	}
	if open {
		t.Error("the connection is open")
	} else {
		c.log.wait(t, ended+1, "[disconnect] REPORT")
	}
	c.roomWithout(t, ada, 1)
}

// broadcasts sends a message that may come more than once: the classic protocol has no
// idempotency key, and a post without an answer is repeated.
func broadcasts(t *testing.T, c cell) {
	sender := join(t, c.Stack, "", c.id+"c")
	receivers := []*websocket.Conn{join(t, c.Stack, "", c.id), join(t, c.Stack, "", c.id)}
	c.converges(t, "broadcast", func() answer { return reply(t, sender, broadcastFrame(c.id)) })
	c.arrive(t, "demo", "chat:"+c.id, 3, receivers...)
}
