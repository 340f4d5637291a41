package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/centrifugo"
	"centrifuge/pkg/protocol/classic"
)

// Message handles $default: every frame whose method has no route of its own. It is a command
// of the classic protocol, or commands of Centrifugo's.
func Message(h *hub.Publisher, log *slog.Logger) WebSocket {
	inClassic := serve(log, commands{classic.MethodPresence: command(classic.Envelope.Presence,
		func(ctx context.Context, cmd hub.Command, ch hub.Channel) (classic.Result, error) {
			clients, err := h.ClientPresence(ctx, cmd, ch)
			return classic.Result{Presence: classic.Presence(clients)}, err
		})})
	return func(ctx context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		commands, wrong := centrifugo.Decode([]byte(r.Body))
		ctx, cancel := limit(ctx)
		defer cancel()
		c := &conversation{hub: h, log: log, event: r}
		if answer, ours := c.run(ctx, commands, wrong); ours {
			return answer, nil
		}
		return inClassic(ctx, r)
	}
}

// version is that of the server, as clients get to know it.
const version = "centrifuge"

// conversation answers one frame of a client that speaks Centrifugo's protocol.
type conversation struct {
	hub     *hub.Publisher
	log     *slog.Logger
	event   events.APIGatewayWebsocketProxyRequest
	session *hub.Session
	replies []centrifugo.Reply
}

// run carries out commands, and returns the replies as the route response, unless they had to
// be posted before. wrong is what the decoder found after these commands. ours is false for a
// frame of another protocol: where the frame does not tell, its connection does.
func (c *conversation) run(ctx context.Context, commands []centrifugo.Command, wrong error) (_ events.APIGatewayProxyResponse, ours bool) {
	commands = slices.DeleteFunc(commands, func(cmd centrifugo.Command) bool { return cmd.Pong })
	if len(commands) == 0 {
		if e, _ := classic.Decode([]byte(c.event.Body)); e.Method != "" {
			return events.APIGatewayProxyResponse{}, false
		}
		var frame *centrifugo.FrameError
		speaks, scoped, err := c.hub.Speaks(ctx, received(c.event))
		if disconnection(err) != nil {
			return c.end(ctx, err), true
		}
		logError(ctx, c.log, c.event, err)
		switch {
		case wrong == nil && speaks == hub.Centrifugo:
			return reply(nil), true
		case strings.TrimSpace(c.event.Body) == "{}" && (err != nil || speaks == "" && scoped):
			// Without an identity too: Centrifugo's clients take API Gateway's error, when the function has
			// died, for a ping, and end for good at an answer in the classic form.
			return reply(nil), true
		case err == nil && speaks == "" && errors.As(wrong, &frame) && frame.Method != "":
			// No other protocol has the keys of its commands.
			if frame.Method == "connect" && frame.ID > 0 {
				wrong = &refusal{frame.ID, wrong}
			}
			return c.end(ctx, wrong), true
		case speaks != hub.Centrifugo:
			return events.APIGatewayProxyResponse{}, false
		}
	}
	err := c.begin(ctx, commands)
	if errors.Is(err, hub.ErrIdentity) {
		return events.APIGatewayProxyResponse{}, false
	}
	for len(commands) > 0 && err == nil {
		n := 1
		if commands[0].Subscribe != nil {
			for n < len(commands) && commands[n].Subscribe != nil {
				n++
			}
		}
		if commands[0].Connect == nil && commands[0].Subscribe == nil {
			err = c.flush(ctx)
		}
		if err == nil {
			err = c.carryOut(ctx, commands[:n])
		}
		commands = commands[n:]
	}
	if err == nil {
		err = wrong
	}
	return c.end(ctx, err), true
}

// begin accounts for the frame.
func (c *conversation) begin(ctx context.Context, commands []centrifugo.Command) (err error) {
	login := len(commands) > 0 && commands[0].Connect != nil
	c.session, err = c.hub.Session(ctx, received(c.event), len(commands), login)
	if err != nil && login && !errors.Is(err, hub.ErrIdentity) {
		return &refusal{commands[0].ID, err}
	}
	return err
}

// refusal is the error of a connect: the connection is closed after the reply.
type refusal struct {
	id  uint32
	err error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// carryOut carries out one command, or several subscribes.
func (c *conversation) carryOut(ctx context.Context, commands []centrifugo.Command) error {
	cmd := commands[0]
	switch {
	case cmd.Subscribe != nil:
		return c.subscribe(ctx, commands)
	case cmd.Refusal != nil:
		return c.answer(ctx, cmd, centrifugo.Reply{}, cmd.Refusal)
	case cmd.Connect != nil:
		result, err := c.connect(ctx, cmd)
		if err != nil {
			return &refusal{cmd.ID, err}
		}
		return c.answer(ctx, cmd, centrifugo.Reply{Connect: result}, nil)
	case cmd.Send != nil:
		return c.session.Send(ctx, cmd.Send.Data)
	}
	r, err := c.call(ctx, cmd)
	return c.answer(ctx, cmd, r, err)
}

// call carries out a command that is answered with one call of the session.
func (c *conversation) call(ctx context.Context, cmd centrifugo.Command) (r centrifugo.Reply, err error) {
	in := func(name string, do func(hub.Channel) error) error {
		ch, err := centrifugo.ParseChannel(name)
		if err != nil {
			return err
		}
		return do(ch)
	}
	switch {
	case cmd.Unsubscribe != nil:
		r.Unsubscribe = &centrifugo.UnsubscribeResult{}
		err = in(cmd.Unsubscribe.Channel, func(ch hub.Channel) error { return c.session.Unsubscribe(ctx, cmd.ID, ch) })
	case cmd.Publish != nil:
		r.Publish = &centrifugo.PublishResult{}
		err = in(cmd.Publish.Channel, func(ch hub.Channel) error { return c.session.Publish(ctx, ch, cmd.Publish.Data) })
	case cmd.Presence != nil:
		err = in(cmd.Presence.Channel, func(ch hub.Channel) error {
			clients, err := c.session.Presence(ctx, ch)
			r.Presence = centrifugo.PresenceOf(clients)
			return err
		})
	case cmd.PresenceStats != nil:
		err = in(cmd.PresenceStats.Channel, func(ch hub.Channel) error {
			stats, err := c.session.PresenceStats(ctx, ch)
			r.PresenceStats = &centrifugo.PresenceStatsResult{NumClients: uint32(stats.Clients), NumUsers: uint32(stats.Users), Partial: stats.Partial} //nolint:gosec // fewer than 2^32
			return err
		})
	case cmd.History != nil:
		err = in(cmd.History.Channel, func(ch hub.Channel) error {
			publications, top, err := c.session.History(ctx, ch, cmd.History.Query)
			r.History = centrifugo.HistoryOf(publications, top)
			return err
		})
	case cmd.RPC != nil:
		r.RPC = &centrifugo.RPCResult{}
		r.RPC.Data, err = c.session.RPC(ctx, cmd.RPC.Method, cmd.RPC.Data)
	case cmd.Refresh != nil:
		var ttl time.Duration
		ttl, err = c.session.Refresh(ctx, cmd.ID, cmd.Refresh.Token)
		r.Refresh = &centrifugo.RefreshResult{Client: c.event.RequestContext.ConnectionID, Version: version, Expires: ttl > 0, TTL: seconds(ttl)}
	case cmd.SubRefresh != nil:
		refresh := func(ch hub.Channel) error {
			ttl, err := c.session.RefreshSubscription(ctx, ch, cmd.SubRefresh.Token)
			r.SubRefresh = &centrifugo.SubRefreshResult{Expires: ttl > 0, TTL: seconds(ttl)}
			return err
		}
		if cmd.SubRefresh.Channel == "" {
			err = refresh(hub.Channel{})
		} else {
			err = in(cmd.SubRefresh.Channel, refresh)
		}
	case cmd.Ping != nil:
		r.Ping = &centrifugo.PingResult{}
	}
	return r, err
}

// seconds is a whole number of seconds.
func seconds(d time.Duration) uint32 {
	return uint32(d / time.Second) //nolint:gosec // at most the life of a token that a client can name
}

// connect gives the connection its identity.
func (c *conversation) connect(ctx context.Context, cmd centrifugo.Command) (*centrifugo.ConnectResult, error) {
	q := cmd.Connect
	l := hub.Login{Number: cmd.ID, Token: q.Token, Data: q.Data, Name: q.Name, Version: q.Version, Since: make(map[hub.Channel]hub.Position)}
	for name, sub := range q.Subs {
		ch, err := centrifugo.ParseChannel(name)
		if err != nil {
			continue
		}
		l.Channels = append(l.Channels, ch)
		if sub.Recover {
			l.Since[ch] = sub.Since
		}
	}
	in, err := c.session.Login(ctx, l)
	if err != nil {
		return nil, err
	}
	result := &centrifugo.ConnectResult{
		Client: in.Client, Version: version, Expires: in.TTL > 0, TTL: seconds(in.TTL), Data: in.Data, Ping: noPing, Pong: true,
	}
	if in.Ping > 0 {
		result.Ping = seconds(in.Ping)
	}
	for ch, subscribed := range in.Subscriptions {
		if result.Subs == nil {
			result.Subs = make(map[string]*centrifugo.SubscribeResult)
		}
		result.Subs[ch.String()] = subscribeResult(subscribed)
	}
	return result, nil
}

// noPing is the time between pings, in seconds, in the reply to clients that get none: longer
// than API Gateway keeps a connection. Without one the Python client takes any other frame for a
// ping, and waits for the next.
const noPing = 7200

// subscribe carries out the subscribes of the frame that follow each other, together.
func (c *conversation) subscribe(ctx context.Context, commands []centrifugo.Command) error {
	errs := make([]error, len(commands))
	var requests []hub.SubscribeCommand
	for i, cmd := range commands {
		q := cmd.Subscribe
		ch, err := centrifugo.ParseChannel(q.Channel)
		if cmd.Refusal != nil {
			err = cmd.Refusal
		}
		if errs[i] = err; err != nil {
			continue
		}
		requests = append(requests, hub.SubscribeCommand{
			Number: cmd.ID, Channel: ch, Token: q.Token, Data: q.Data, Recover: q.Recover, Since: q.Since, RejectUnrecovered: q.RejectUnrecovered,
			SubscriptionFlags: hub.SubscriptionFlags{Positioned: q.Positioned, Recoverable: q.Recoverable, JoinLeave: q.JoinLeave},
		})
	}
	outcomes := c.session.Subscribe(ctx, requests)
	for i, cmd := range commands {
		var r centrifugo.Reply
		err := errs[i]
		if err == nil {
			r.Subscribe, err = subscribeResult(outcomes[0].Subscribed), outcomes[0].Err
			outcomes = outcomes[1:]
		}
		if err := c.answer(ctx, cmd, r, err); err != nil {
			return err
		}
	}
	return nil
}

func subscribeResult(s hub.Subscribed) *centrifugo.SubscribeResult {
	r := &centrifugo.SubscribeResult{
		Expires: s.TTL > 0, TTL: seconds(s.TTL), Recoverable: s.Recoverable, Positioned: s.Positioned,
		Epoch: s.Position.Epoch, Offset: s.Position.Offset, Recovered: s.Recovered, WasRecovering: s.WasRecovering, Data: s.Data,
	}
	if len(s.Publications) > 0 {
		r.Publications = centrifugo.PublicationsOf(s.Publications)
	}
	return r
}

// answer keeps the reply to a command. It returns an error that ends the connection.
func (c *conversation) answer(ctx context.Context, cmd centrifugo.Command, r centrifugo.Reply, err error) error {
	if d := (*hub.Disconnection)(nil); errors.As(err, &d) || errors.Is(err, hub.ErrConnectionNotFound) {
		return err
	}
	if err != nil {
		logError(ctx, c.log, c.event, err)
		e := centrifugo.ErrorOf(err)
		r = centrifugo.Reply{Error: &e}
	}
	r.ID = cmd.ID
	c.replies = append(c.replies, r)
	return nil
}

// flush posts the replies so far where they must reach the client before what follows.
func (c *conversation) flush(ctx context.Context) error {
	if c.session == nil || !c.session.Pending() {
		return nil
	}
	if err := c.post(ctx); err != nil {
		return err
	}
	return c.session.Proceed(ctx)
}

func (c *conversation) post(ctx context.Context) error {
	frames := centrifugo.Encode(c.replies)
	c.replies = nil
	return c.hub.Reply(ctx, c.event.RequestContext.ConnectionID, frames)
}

// end answers what has not been answered, and closes the connection where err says so.
func (c *conversation) end(ctx context.Context, err error) events.APIGatewayProxyResponse {
	if err == nil {
		err = c.flush(ctx)
	}
	if err == nil {
		frames := centrifugo.Encode(c.replies)
		if len(frames) == 0 {
			return reply(nil)
		}
		if len(frames) == 1 {
			return reply(frames[0])
		}
		if err = c.post(ctx); err == nil {
			return reply(nil)
		}
	}
	logError(ctx, c.log, c.event, err)
	c.close(ctx, err)
	return reply(nil)
}

// close closes the connection because of err, after the replies so far: API Gateway closes without
// a code. The reply to a connect that is refused has the code; clients connect again, or not, as it
// says, and no push follows.
func (c *conversation) close(ctx context.Context, err error) {
	d := cmp.Or(disconnection(err), hub.DisconnectServerError)
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		e := centrifugo.RefusalOf(refused.err)
		c.replies = append(c.replies, centrifugo.Reply{ID: refused.id, Error: &e})
		d = hub.DisconnectServerError
	}
	if len(c.replies) > 0 {
		failed := c.post(ctx)
		if refused := (*refusal)(nil); failed == nil && c.session != nil && !errors.As(err, &refused) {
			// The client has the reply to its login, so it may get the code. Where there was nothing to post,
			// an earlier post may have failed.
			failed = c.session.Proceed(ctx)
		}
		if failed != nil {
			logError(ctx, c.log, c.event, failed)
		}
	}
	if err := c.hub.Terminate(ctx, c.event.RequestContext.ConnectionID, d); err != nil {
		logError(ctx, c.log, c.event, err)
	}
}

// disconnection is how an error ends a connection, nil where it does not say.
func disconnection(err error) *hub.Disconnection {
	if d := (*hub.Disconnection)(nil); errors.As(err, &d) {
		return d
	}
	if frame := (*centrifugo.FrameError)(nil); errors.As(err, &frame) {
		return hub.DisconnectBadRequest
	}
	return nil
}
