package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/coder/websocket"
)

// client is a user with a socket.
type client struct {
	user string
	id   string
	conn *websocket.Conn
}

// send sends a command, on the route that is called like its method.
func (c *client) send(ctx context.Context, method, params string) error {
	frame := fmt.Sprintf(`{"action":%q,"id":"1","method":%q,"params":%s}`, method, method, params)
	return c.conn.Write(ctx, websocket.MessageText, []byte(frame))
}

// broadcast sends a message to the lobby.
func (c *client) broadcast(ctx context.Context, text string) error {
	return c.send(ctx, "broadcast", fmt.Sprintf(`{"category":%q,"channel":%q,"data":%s}`, lobby.Category, lobby.Name, data(text)))
}

// data is that of a message.
func data(text string) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"text":%q}`, text)) }

// receives tells that the next frame is the push of a message in the lobby.
func (c *client) receives(ctx context.Context, text string) error {
	kind, b, err := c.conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("%s receives nothing: %w", c.user, err)
	}
	type push struct {
		Project, Category, Channel string
		Data                       struct{ Text string }
	}
	want := push{Project: lobby.Project, Category: lobby.Category, Channel: lobby.Name}
	want.Data.Text = text
	var got push
	if err := json.Unmarshal(b, &got); err != nil || kind != websocket.MessageText || got != want {
		return fmt.Errorf("%s receives a frame (%s) that is not the push of %q: %s", c.user, kind, text, b)
	}
	return nil
}
