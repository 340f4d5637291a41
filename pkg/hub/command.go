package hub

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Command is what all commands of a client have in common.
type Command struct {
	// Connection is the id of the connection that sent it.
	Connection string
	// Received is when API Gateway received it, in whole milliseconds: requestTimeEpoch of
	// its event. The zero time means now.
	Received time.Time
	// Bytes is the length of its frame.
	Bytes int
	// channels is how many channels it names, and wait how long it keeps an invocation busy.
	channels int
	wait     time.Duration
}

// received is when the command was received, at the latest now.
func (c Command) received(now time.Time) time.Time {
	if c.Received.IsZero() || c.Received.After(now) {
		return now
	}
	return c.Received
}

// The rate of the commands of one connection. A command costs commandCost, and as much
// again for every started commandBytes of its frame after the first, and for every
// commandChannels that it names: 50 commands, 200 KB or 400 channels a second. A connection
// may be maxDebt ahead of that: 1,000 commands at once. Commands above are refused, and cost
// too: one that goes on is closed at closingDebt. A login pays the debt of its connection, once:
// then a command that follows the reply at once needs one write, and not two.
const (
	commandCost     = 20 * time.Millisecond
	commandBytes    = 4 << 10
	commandChannels = 8
	maxDebt         = 20 * time.Second
	closingDebt     = 2 * maxDebt
)

func (c Command) cost() time.Duration {
	return c.wait + commandCost*time.Duration(1+max(c.Bytes-1, 0)/commandBytes+c.channels/commandChannels)
}

// spend accounts for a command and returns its connection. It fails with
// ErrConnectionNotFound, and with ErrTooManyRequests for a connection that sends faster
// than it may; the connection is closed when it goes on. The socket of a connection that is
// not found is closed after the answer: an invocation that was to close it may have died.
func (h *Hub) spend(ctx context.Context, cmd Command) (Connection, error) {
	c, debt, err := h.store.Spend(ctx, cmd.Connection, cmd.cost(), closingDebt, h.now())
	switch {
	case errors.Is(err, ErrConnectionNotFound):
		h.later(ctx, cleanupTimeout, func(ctx context.Context) {
			if _, err := h.dispatcher.Disconnect(ctx, []string{cmd.Connection}); err != nil {
				h.log.WarnContext(ctx, "close connection failed", "connection", cmd.Connection, "error", err)
			}
		})
		return Connection{}, err
	case err != nil:
		return Connection{}, err
	case debt > closingDebt:
		if err := h.closeSockets(ctx, []Connection{c}, DisconnectTooManyRequests); err != nil {
			h.log.WarnContext(ctx, "close connection failed", "project", c.Project, "connection", cmd.Connection, "error", err)
			return Connection{}, ErrTooManyRequests.WithHelp("close the connection")
		}
		return Connection{}, ErrTooManyRequests.With("the connection is closed")
	case debt > maxDebt:
		return Connection{}, ErrTooManyRequests.WithHelp(fmt.Sprintf("wait %d seconds; a connection that goes on is closed", int((debt-maxDebt)/time.Second)+1))
	}
	return c, nil
}

// authenticated accounts for a command and returns the connection, which may give commands,
// and its project. It fails as spend and valid do. Every
// permission is checked before anything is written.
func (h *Hub) authenticated(ctx context.Context, cmd Command) (Connection, *Project, error) {
	c, err := h.spend(ctx, cmd)
	if err != nil {
		return Connection{}, nil, err
	}
	if c.Project == "" {
		return Connection{}, nil, ErrUnauthorized
	}
	p, err := h.store.Project(ctx, c.Project)
	if err != nil {
		return Connection{}, nil, err
	}
	return c, p, h.valid(p, c)
}

// valid fails with ErrUnauthorized where the connection has not authenticated to the
// project, with ErrTokenExpired where its token has ended, and with ErrPermissionDenied or
// ErrInvalidToken where the project does not admit it any more.
func (h *Hub) valid(p *Project, c Connection) error {
	switch {
	case c.Project != p.ID:
		return ErrUnauthorized
	case !c.Until().After(h.now()):
		return ErrTokenExpired
	case p.admits(c):
		return nil
	case !p.Options.AllowsOrigin(c.Basis().Origin):
		return errOrigin(c.Origin)
	}
	return ErrInvalidToken.WithHelp("the project's secret, or its option allow_md5, has changed since auth: send auth again with a new token")
}
