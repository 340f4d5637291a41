package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Session carries out the commands of one frame of a connection whose client numbers its
// commands, as Centrifugo's protocol does. A client numbers them in the order in which it sends
// them; its frames reach different invocations, which may overtake each other.
//
// Its methods are called in the order of the commands. When Pending reports true, the replies
// of all that was carried out are sent to the client, and then Proceed is called: until then
// nothing else may reach the client. A Session is not safe for concurrent use.
type Session struct {
	*Publisher
	cmd     Command
	c       Connection
	project *Project // nil until the client has logged in
	// unanswered means that the client does not have the reply to its login.
	unanswered bool
	// began is when the frame was taken, by the real clock: it bounds real waits.
	began time.Time
	// recovered is how many bytes the publications have that were recovered. recovering guards it.
	recovered  int64
	recovering sync.Mutex
	// loginRoom is how many the reply to a login has room for.
	loginRoom int64
	// reads counts the commands that read presences and histories.
	reads int
	// concurrent and after are what follows when the client has the replies: first those that are
	// done at the same time, begun in order, and then the others, one by one.
	concurrent []func(context.Context) error
	after      []func(context.Context) error
}

// loginWait is how long commands wait for a login that they have overtaken: longer than the
// application may take to decide about it. waitCost is what each costs: the wait keeps an
// invocation busy.
const loginWait, waitCost = ProxyBudget + time.Second, time.Second

// The waits for a login double.
const firstLoginPoll, maxLoginPoll = 20 * time.Millisecond, 200 * time.Millisecond

// Session accounts for a frame with this many commands and returns its session. login means
// that the first command is a login; other commands wait for it briefly, where they have
// overtaken it. It fails with ErrIdentity for a connection of another protocol, with a
// *Disconnection, or for the service's own reasons.
func (h *Publisher) Session(ctx context.Context, cmd Command, commands int, login bool) (*Session, error) {
	began := time.Now()
	cmd.channels = max(commands-1, 0) * commandChannels // each command costs what a frame does
	c, err := h.spend(ctx, cmd)
	switch {
	case errors.Is(err, ErrTooManyRequests):
		return nil, DisconnectTooManyRequests
	case err != nil:
		return nil, err
	}
	if c.Project == "" && !login {
		cmd.wait = waitCost
		if _, err := h.spend(ctx, cmd); errors.Is(err, ErrTooManyRequests) {
			return nil, DisconnectTooManyRequests
		}
	}
	until := cmd.received(h.now()).Add(loginWait)
	for poll := firstLoginPoll; c.Project == "" && !login; poll = min(2*poll, maxLoginPoll) {
		if !h.now().Before(until) {
			return nil, DisconnectBadRequest
		}
		if err := h.wait(ctx, poll); err != nil {
			return nil, err
		}
		if c, err = h.store.Connection(ctx, cmd.Connection); err != nil {
			return nil, err
		}
	}
	s := &Session{Publisher: h, cmd: cmd, c: c, began: began}
	if c.Project == "" {
		return s, nil
	}
	switch {
	case c.Protocol != Centrifugo:
		return nil, ErrIdentity.With("it speaks another protocol")
	case login:
		return nil, DisconnectBadRequest
	}
	if s.project, err = h.store.Project(ctx, c.Project); err != nil {
		return nil, err
	}
	if opened := c.Expires.Add(-MaxConnectionAge); c.LoggingIn && !h.now().Before(opened.Add(AbandonTime)) {
		// The invocation has died that carried out the login.
		s.concurrent = append(s.concurrent, s.loggedIn)
	}
	if err := s.prolong(ctx, proxyRefreshLead); err != nil {
		return nil, err
	}
	return s, nil
}

// Pending reports whether the replies so far must reach the client before anything else does.
func (s *Session) Pending() bool { return len(s.concurrent)+len(s.after) > 0 }

// Proceed does what follows when the client has the replies.
func (s *Session) Proceed(ctx context.Context) error {
	concurrent, after := s.concurrent, s.after
	s.concurrent, s.after, s.unanswered = nil, nil, false
	errs := make([]error, len(concurrent))
	var g errgroup.Group
	g.SetLimit(maxConcurrentJoins)
	for i, do := range concurrent {
		g.Go(func() error {
			errs[i] = do(ctx)
			return nil
		})
	}
	_ = g.Wait() // errs has the failures
	for _, do := range after {
		errs = append(errs, do(ctx))
	}
	return errors.Join(errs...)
}

// valid fails with a *Disconnection where the connection may not give commands any more: a
// client that may connect again does so, and recovers what it has missed.
func (s *Session) valid() error {
	if s.project == nil {
		return DisconnectBadRequest
	}
	return s.admits(s.c)
}

// admits is valid for a state of the connection after its login.
func (s *Session) admits(c Connection) error {
	if s.Hub.valid(s.project, c) != nil {
		return DisconnectExpired
	}
	return nil
}

// Terminate ends the connection of a client that numbers its commands with a code for it: without
// the code, and so that the client connects again, where the code says that it does. Nothing is
// sent to it afterwards.
// The rule is what the SDKs need without a close code of their own: the push of a
// reconnectable disconnection stops one of them for ever.
func (h *Publisher) Terminate(ctx context.Context, connection string, d *Disconnection) error {
	c, err := h.store.Connection(ctx, connection)
	switch {
	case errors.Is(err, ErrConnectionNotFound):
		_, err := h.dispatcher.Disconnect(ctx, []string{connection})
		return err
	case err != nil:
		return err
	}
	if c.Project == "" {
		c.Protocol = Centrifugo // it has no identity, and its client gave commands
		if d.Reconnects() {
			// Its client has just got the reply that refuses it.
			if err := wait(ctx, closeDelay); err != nil {
				return err
			}
		}
	}
	return h.terminate(ctx, []Connection{c}, d)
}

// closeDelay is the time between the code and the close. A client closes the connection when it has
// the code; the one for Python forgets a code that it has not read when the connection closes.
const closeDelay = 100 * time.Millisecond

// terminate is Terminate for connections that were read.
func (h *Hub) terminate(ctx context.Context, connections []Connection, d *Disconnection) error {
	if !d.Reconnects() {
		if read, err := h.awaitReplies(ctx, connections); err == nil {
			connections = read
		} else {
			h.log.WarnContext(ctx, "wait for logins failed", "error", err)
		}
	}
	var notices []Notice
	for _, c := range connections {
		if !d.Reconnects() && !c.Closing && !c.LoggingIn {
			notices = append(notices, Notice{Connection: c.ID, Protocol: c.Protocol, Kind: Disconnected, Code: d.Code, Reason: d.Reason})
		}
	}
	if len(notices) > 0 {
		// A client that does not get it connects again, and is refused if it may not.
		if _, err := h.dispatcher.Notify(ctx, notices); err != nil {
			h.log.WarnContext(ctx, "notify disconnected clients failed", "error", err)
		}
		if err := wait(ctx, closeDelay); err != nil {
			return err
		}
	}
	return h.closeSockets(ctx, connections, d)
}

// access decides what the client may do.
func (s *Session) access() Access {
	return Access{Project: s.project, Connection: s.c, Insecure: s.project.Options.Insecure}
}

// Speaks accounts for a frame that is no command, and returns the protocol of its connection: ""
// for one that is over, or has no identity yet. scoped means that a client of Centrifugo's
// protocol can log in there: it is in a project. The frame of a connection that gets pings answers
// one: where its end comes before the next, the application is asked about it, so that a client
// that only listens goes on, and where it has passed, the connection is over. It fails as Session
// does, but for ErrIdentity.
func (h *Publisher) Speaks(ctx context.Context, cmd Command) (p Protocol, scoped bool, err error) {
	began := time.Now()
	c, err := h.spend(ctx, cmd)
	if errors.Is(err, ErrConnectionNotFound) {
		return "", h.defaultProject != "", nil
	}
	if err == nil && c.PingMinutes > 0 && !c.TokenExpires.IsZero() {
		s := &Session{Publisher: h, cmd: cmd, c: c, began: began}
		if s.project, err = h.store.Project(ctx, c.Project); err == nil {
			err = s.prolong(ctx, time.Duration(c.PingMinutes)*time.Minute+pingMargin)
		}
		if err == nil && h.pastGrace(s.c.TokenExpires) {
			err = DisconnectExpired // the end has changed since the ping was written
		}
	}
	return c.Protocol, c.Scope != "" || h.defaultProject != "", err
}

// Reply sends frames to a connection, in their order. It fails with ErrConnectionNotFound for one
// that is over, and where it is not certain that the client has them all.
func (h *Hub) Reply(ctx context.Context, connection string, frames [][]byte) error {
	return h.dispatcher.Reply(ctx, connection, frames)
}
