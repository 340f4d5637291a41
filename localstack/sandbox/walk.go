package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/app"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

const (
	// patience bounds each wait for a function, which takes some tens of milliseconds.
	patience = 20 * time.Second
	// lookEvery is how often the table is read for what a function has done: neither
	// it nor sandbox gives a sign.
	lookEvery = 20 * time.Millisecond

	origin = "https://ours.example"
)

var lobby = hub.Channel{Project: "demo", Category: "chat", Name: "lobby"}

// walk goes through what sandbox can show.
type walk struct {
	launch  func(context.Context) (*gateway, error)
	gateway *gateway
	app     *app.App
	out     io.Writer
}

func (w *walk) walk(ctx context.Context) (err error) {
	if w.gateway, err = w.launch(ctx); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, w.gateway.process.Stop())
		if err != nil {
			err = fmt.Errorf("%w\nsandbox's last words:\n%s", err, w.gateway.process.Output())
		}
	}()
	var alice, bob, carol *client
	for _, part := range []struct {
		shown string
		do    func(context.Context) error
	}{
		{"$connect refuses a project that does not exist with 404", func(ctx context.Context) error {
			return w.refused(ctx, "?project=nobody", origin, http.StatusNotFound)
		}},
		{"$connect refuses a page of another origin with 403", func(ctx context.Context) error {
			return w.refused(ctx, "?project=demo", "https://theirs.example", http.StatusForbidden)
		}},
		{"$connect records a connection with its origin, and auth its user", func(ctx context.Context) (err error) {
			if alice, err = w.enter(ctx, "alice"); err != nil {
				return err
			}
			bob, err = w.enter(ctx, "bob")
			return err
		}},
		{"subscribe records the channel with the connection and the subscriber in the channel", func(ctx context.Context) error {
			return errors.Join(w.subscribe(ctx, alice), w.subscribe(ctx, bob))
		}},
		{"what an application publishes is pushed to every subscriber, as text", func(ctx context.Context) error {
			return errors.Join(
				w.publish(ctx, "published", hub.Report{Delivered: 2}),
				alice.receives(ctx, "published"), bob.receives(ctx, "published"))
		}},
		{"what a client broadcasts is pushed to every subscriber by the function", func(ctx context.Context) error {
			return errors.Join(
				alice.broadcast(ctx, "broadcast"),
				alice.receives(ctx, "broadcast"), bob.receives(ctx, "broadcast"))
		}},
		{"unsubscribe ends the pushes to that client alone", func(ctx context.Context) error {
			err := alice.send(ctx, "unsubscribe", `{"from":{"chat":["lobby"]}}`)
			return errors.Join(err,
				w.eventually(ctx, "alice is still subscribed", func(c hub.Connection) bool { return len(c.Channels) == 0 }, alice),
				w.publish(ctx, "bob only", hub.Report{Delivered: 1}), bob.receives(ctx, "bob only"),
				// What alice receives next shows that she did not receive that.
				w.subscribe(ctx, alice), w.publish(ctx, "both again", hub.Report{Delivered: 2}),
				alice.receives(ctx, "both again"), bob.receives(ctx, "both again"))
		}},
		{"$disconnect follows a socket that broke, and removes the connection and its subscription", func(ctx context.Context) error {
			return errors.Join(alice.conn.CloseNow(), w.over(ctx, alice), w.publish(ctx, "bob alone", hub.Report{Delivered: 1}), bob.receives(ctx, "bob alone"))
		}},
		{"without $disconnect (the gateway is started anew) a connection stays in the table", func(ctx context.Context) error {
			return errors.Join(w.again(ctx), w.eventually(ctx, "bob is not subscribed", subscribed, bob))
		}},
		{"410 for it is counted as gone, and removes the connection and its subscription", func(ctx context.Context) error {
			return errors.Join(w.publish(ctx, "nobody", hub.Report{Gone: 1}), w.over(ctx, bob), w.publish(ctx, "nobody", hub.Report{}))
		}},
		{"410 in a function does the same, while the living receive", func(ctx context.Context) (err error) {
			if bob, err = w.enter(ctx, "bob"); err != nil {
				return err
			}
			if err := errors.Join(w.subscribe(ctx, bob), w.again(ctx)); err != nil {
				return err
			}
			if carol, err = w.enter(ctx, "carol"); err != nil {
				return err
			}
			return errors.Join(w.subscribe(ctx, carol),
				carol.broadcast(ctx, "to the living"),
				carol.receives(ctx, "to the living"), w.over(ctx, bob),
				w.publish(ctx, "carol alone", hub.Report{Delivered: 1}), carol.receives(ctx, "carol alone"))
		}},
		{"a normal close is followed by $disconnect too", func(ctx context.Context) error {
			return errors.Join(carol.conn.Close(websocket.StatusNormalClosure, ""), w.over(ctx, carol))
		}},
	} {
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it takes longer than %s", patience))
		err := part.do(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("not shown: %s: %w", part.shown, err)
		}
		fmt.Fprintln(w.out, "shown:", part.shown)
	}
	return nil
}

// again ends the gateway, which tells no function of it, and starts another.
func (w *walk) again(ctx context.Context) error {
	if err := w.gateway.process.Stop(); err != nil {
		return err
	}
	g, err := w.launch(ctx)
	if err == nil {
		w.gateway = g
	}
	return err
}

func (w *walk) dial(ctx context.Context, query, origin string) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, w.gateway.url+"/"+query, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
}

func (w *walk) refused(ctx context.Context, query, origin string, want int) error {
	conn, response, err := w.dial(ctx, query, origin)
	switch {
	case err == nil:
		_ = conn.CloseNow()
		return errors.New("the handshake succeeded")
	case response == nil:
		return err
	case response.StatusCode != want:
		return fmt.Errorf("the handshake was refused with %d", response.StatusCode)
	}
	return nil
}

// enter opens and authenticates a connection of a user that has no other.
func (w *walk) enter(ctx context.Context, user string) (*client, error) {
	conn, _, err := w.dial(ctx, "?project=demo", origin)
	if err != nil {
		return nil, err
	}
	c := &client{user: user, conn: conn}
	err = c.send(ctx, "auth", fmt.Sprintf(`{"token":%q,"user":%q,"project_id":"demo","permissions":{}}`, auth.SignToken("demo-secret", user, "demo"), user))
	if err != nil {
		return nil, err
	}
	return c, poll(ctx, user+" is not in the table", func() (bool, error) {
		found, err := w.app.Store.UserConnections(ctx, "demo", user)
		if err != nil || len(found) != 1 {
			return false, err
		}
		c.id = found[0].ID
		if found[0].Origin != origin {
			return false, fmt.Errorf("its origin is %q", found[0].Origin)
		}
		return true, nil
	})
}

func (w *walk) subscribe(ctx context.Context, c *client) error {
	if err := c.send(ctx, "subscribe", `{"to":{"chat":["lobby"]}}`); err != nil {
		return err
	}
	return errors.Join(
		w.eventually(ctx, c.user+" is not subscribed", subscribed, c),
		poll(ctx, c.user+" is not in the channel", func() (bool, error) { return w.inChannel(ctx, c) }))
}

func subscribed(c hub.Connection) bool { _, ok := c.Channels[lobby]; return ok }

func (w *walk) inChannel(ctx context.Context, c *client) (bool, error) {
	for page, err := range w.app.Store.Subscribers(ctx, lobby, 0) {
		if err != nil {
			return false, err
		}
		for _, s := range page {
			if s.Connection == c.id {
				return true, nil
			}
		}
	}
	return false, nil
}

// eventually waits until the connection of a client is as it should be.
func (w *walk) eventually(ctx context.Context, otherwise string, is func(hub.Connection) bool, c *client) error {
	return poll(ctx, otherwise, func() (bool, error) {
		found, err := w.app.Store.Connection(ctx, c.id)
		return err == nil && is(found), err
	})
}

// over waits until nothing of a client is left in the table.
func (w *walk) over(ctx context.Context, c *client) error {
	return poll(ctx, c.user+" is still in the table", func() (bool, error) {
		_, err := w.app.Store.Connection(ctx, c.id)
		if !errors.Is(err, hub.ErrConnectionNotFound) {
			return false, err
		}
		in, err := w.inChannel(ctx, c)
		return !in, err
	})
}

func (w *walk) publish(ctx context.Context, text string, want hub.Report) error {
	p, err := w.app.Store.Project(ctx, lobby.Project)
	if err != nil {
		return err
	}
	got, err := w.gateway.app.Hub.Publish(ctx, p, hub.Publication{Category: lobby.Category, Channel: lobby.Name, Data: data(text)}, "")
	if diff := cmp.Diff(want, got); err == nil && diff != "" {
		return fmt.Errorf("publish %q: -expected +reported:\n%s", text, diff)
	}
	return err
}

// poll asks until the answer is yes.
func poll(ctx context.Context, otherwise string, is func() (bool, error)) error {
	for again := time.NewTicker(lookEvery); ; {
		ok, err := is()
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", otherwise, context.Cause(ctx))
		}
		if ok || err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}
