package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
)

// SubscribeCommand are the parameters of a subscribe of a client that numbers its commands.
type SubscribeCommand struct {
	// Number is that of the command.
	Number  uint32
	Channel Channel
	// Token is a subscription token, "" for none.
	Token string
	// Recover asks for the publications after Since.
	Recover bool
	Since   Position
	// RejectUnrecovered asks for ErrUnrecoverablePosition, and no subscription, where they
	// cannot be recovered.
	RejectUnrecovered bool
	// SubscriptionFlags are what the client asks for.
	SubscriptionFlags
	// Data is a JSON value for the application, or nil.
	Data json.RawMessage

	// server means that the service subscribes the client, with these options, until expires.
	server  bool
	options SubscribeOptions
	expires time.Time
	// required means that the change of the connection fails where this does.
	required bool
	// pushed means that the client gets no reply with what it has missed.
	pushed bool
}

// Subscribed is a subscription as its client gets to know it.
type Subscribed struct {
	// Positioned and Recoverable mean that pushes have offsets that the client should
	// remember, and that it recovers from them.
	Positioned, Recoverable bool
	// Position is that from which the client goes on: that of the request where it Recovered,
	// otherwise the top of the stream. It is zero where the subscription is not Positioned.
	Position Position
	// Recovered means that Publications are all that the client had missed. WasRecovering means
	// that it asked for that.
	Recovered, WasRecovering bool
	Publications             []Message
	// TTL is after which time the client should renew the token of the subscription, in whole
	// seconds; 0 for never.
	TTL time.Duration
	// Data is a JSON value of the application for the client, or nil.
	Data json.RawMessage
}

// SubscribeOutcome is the outcome of one subscribe.
type SubscribeOutcome struct {
	Subscribed
	// Err is nil, what Session.Subscribe says, or a failure of the service.
	Err error
}

// maxConcurrentJoins bounds the streams that one frame opens concurrently.
const maxConcurrentJoins = 16

// Subscribe subscribes the connection to channels, and returns an outcome for each, in order. A
// subscription that it has already is renewed. It has no effect on a channel for which a later
// command was carried out: ErrConflict. An outcome is ErrCategoryNotFound,
// ErrPermissionDenied, ErrTokenExpired, ErrLimitExceeded, ErrBadRequest,
// ErrUnrecoverablePosition or a *Disconnection. In a stream nothing is sent to the client until
// Proceed.
func (s *Session) Subscribe(ctx context.Context, requests []SubscribeCommand) []SubscribeOutcome {
	if err := s.valid(); err != nil {
		return all(requests, err)
	}
	// Read after the connection, and not from a cache, as Hub.Subscribe does.
	p, err := s.store.ReadProject(ctx, s.c.Project)
	if err != nil {
		return all(requests, err)
	}
	s.project = p
	outcomes, err := s.subscribe(ctx, s.c, requests, func(c Connection) (Connection, error) { return c, s.admits(c) })
	if err != nil {
		return all(requests, err)
	}
	return outcomes
}

// all are the same outcome of all requests.
func all(requests []SubscribeCommand, err error) []SubscribeOutcome {
	outcomes := make([]SubscribeOutcome, len(requests))
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes
}

// joining is a subscribe on its way.
type joining struct {
	SubscribeCommand
	membership Membership
	// category has the overrides of a token.
	category Category
	flags    SubscriptionFlags
	stream   Stream
	streams  bool
	// early means that the stream is opened while the subscription is written, again that the
	// connection was in the channel moments ago.
	early, again bool
	// begins is where in the stream the subscription begins, and failed why the stream could not be
	// opened.
	begins Position
	failed error
	// recovered is how many bytes of the frame its publications take.
	recovered int64
}

// subscribe carries out subscribes together with a change of the connection, whose present state
// is former. It fails where that does.
func (s *Session) subscribe(ctx context.Context, former Connection, requests []SubscribeCommand, change func(Connection) (Connection, error)) ([]SubscribeOutcome, error) {
	outcomes := make([]SubscribeOutcome, len(requests))
	joins := make([]*joining, len(requests))
	var deciding errgroup.Group
	deciding.SetLimit(maxConcurrentProxies)
	for i, r := range requests {
		deciding.Go(func() error {
			joins[i], outcomes[i] = s.decide(ctx, r)
			if j := joins[i]; j != nil {
				j.early = j.streams && !former.wasIn(j.Channel) && len(former.Channels)+len(requests) <= MaxChannels
			}
			return nil
		})
	}
	_ = deciding.Wait() // outcomes have the failures
	for i, r := range requests {
		if r.required && outcomes[i].Err != nil {
			return nil, outcomes[i].Err
		}
	}
	var early, late errgroup.Group
	early.Go(func() error { s.openEarly(ctx, joins, outcomes); return nil })
	var planned Change
	before, after, err := s.store.ChangeConnection(ctx, former, func(c Connection) (_ Change, err error) {
		if c, err = change(c); err == nil {
			planned, err = s.plan(c, joins, outcomes)
			planned.Paid = s.unanswered
		}
		return planned, err
	})
	_ = early.Wait() // joins have the failures
	if err != nil {
		s.concludeLater(ctx, joins, before, after, planned) // some may have been written
		return nil, err
	}
	s.c = after
	s.activateLater(joins, outcomes)
	late.SetLimit(maxConcurrentJoins)
	for i, j := range joins {
		if outcomes[i].Err == nil && j != nil && j.streams && (!j.early || j.again) {
			late.Go(func() error {
				s.open(ctx, j, &outcomes[i].Subscribed, j.again)
				return nil
			})
		}
	}
	_ = late.Wait() // joins have the failures
	var failed []*joining
	for i, j := range joins {
		switch {
		case j == nil || !j.streams || outcomes[i].Err != nil:
		case j.failed == nil:
			s.admitLater(j)
		default:
			outcomes[i].Err = j.failed
			failed = append(failed, j)
		}
	}
	err = s.withdraw(ctx, failed)
	if !errors.Is(err, ErrConnectionNotFound) {
		s.concludeLater(ctx, joins, before, s.c, planned)
	}
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// openEarly opens streams in which the connection has not been, at the same time as their
// subscriptions are written. The admission sends the messages that are dispatched between the two,
// and all that follow. Where the connection was in the channel its former subscription may get them:
// then the stream is opened when the new one is written. It is also opened then where the frame may
// have more channels than are allowed: a stream in which nobody subscribes costs writes.
func (s *Session) openEarly(ctx context.Context, joins []*joining, outcomes []SubscribeOutcome) {
	var g errgroup.Group
	g.SetLimit(maxConcurrentJoins)
	for i, j := range joins {
		if j != nil && j.early {
			g.Go(func() error {
				s.open(ctx, j, &outcomes[i].Subscribed, false)
				return nil
			})
		}
	}
	_ = g.Wait() // joins have the failures
}

// concludeLater is Hub.conclude for subscribes that have changed the connection, also after an
// error. Joins and leaves are announced when the client has the reply.
func (s *Session) concludeLater(ctx context.Context, joins []*joining, before, after Connection, planned Change) {
	all := difference(before, after)
	for i, a := range all {
		for _, j := range joins {
			if j != nil && j.Channel == a.channel && a.event == Join {
				all[i].individual = individual{j.membership.Info, j.membership.Announced}
			}
		}
	}
	s.announceLater(all)
	s.reportChanges(ctx, append(all, s.renewals(before, after, planned)...), UnsubscribedInsufficientState)
}

// withdraw ends subscriptions that were written and could not be opened, unless a later command
// was carried out.
func (s *Session) withdraw(ctx context.Context, failed []*joining) error {
	if len(failed) == 0 {
		return nil
	}
	_, after, err := s.store.ChangeConnection(ctx, s.c, func(c Connection) (Change, error) {
		var left []Channel
		for _, j := range failed {
			if overtaken, err := c.Order.overtakenBy(j.Channel, j.Number, s.cmd.received(s.now())); err == nil && !overtaken {
				left = append(left, j.Channel)
			}
		}
		c.Channels = without(c.Channels, left)
		return Change{Connection: c}, nil
	})
	if !errors.Is(err, ErrConnectionNotFound) {
		s.c = after // where it fails, some may have been removed
	}
	var removed []announcement
	for _, j := range failed {
		removed = append(removed, announcement{event: Leave, connection: s.c, channel: j.Channel})
	}
	s.reportVacancies(ctx, removed)
	return err
}

// decide decides about a subscribe, and what its client gets to know where it has effect. What it
// returns is nil where it has none.
func (s *Session) decide(ctx context.Context, r SubscribeCommand) (j *joining, o SubscribeOutcome) {
	if j, o.Err = s.joining(ctx, r); o.Err != nil {
		return nil, o
	}
	o.Data = j.options.Data
	if !j.category.SubRefreshProxyEnabled {
		o.TTL = s.ttl(j.membership.Expires)
	}
	return j, o
}

// joining decides about a subscribe.
func (s *Session) joining(ctx context.Context, r SubscribeCommand) (*joining, error) {
	r.Channel = s.project.Locate(r.Channel)
	if err := r.Channel.Validate(); err != nil {
		return nil, err
	}
	granted := r.server
	j := &joining{SubscribeCommand: r}
	j.membership.Expires = r.expires
	if r.Token != "" {
		t, err := s.subscriptionToken(ctx, r)
		if err != nil {
			return nil, err
		}
		granted, j.options, j.membership.Expires = true, t.SubscribeOptions, t.SubscriptionExpires
	}
	access := s.access()
	if !granted && access.asksToSubscribe(r.Channel) {
		answer, err := s.ask(ctx, s.project, ProxyRequest{Proxy: SubscribeProxy, Channel: r.Channel, Data: r.Data})
		if err == nil {
			err = s.unexpired(answer)
		}
		if err != nil {
			return nil, err
		}
		granted, j.membership.Expires = true, answer.Expires
		j.options = SubscribeOptions{Info: answer.Info, Data: answer.Data, Override: answer.Override}
	}
	if err := access.Subscribe(r.Channel, granted); err != nil {
		return nil, err
	}
	j.stream, j.streams = s.project.Stream(r.Channel)
	j.category = j.options.Override.of(s.project.Categories[r.Channel.Category])
	j.flags = access.Flags(j.category, r.Channel, r.SubscriptionFlags)
	j.membership.ID, j.membership.Since = NewID(s.now()), s.now().Truncate(time.Millisecond)
	// What is sent before the reply to a login is lost in some clients, and so is what a stream
	// sends before the reply to a subscribe.
	j.membership.Joining = j.streams || r.server || s.unanswered
	j.membership.Recoverable, j.membership.JoinLeave = j.flags.Recoverable, j.flags.JoinLeave
	j.membership.Server, j.membership.Info = r.server, j.options.Info
	listed := j.options.Override.Presence
	j.membership.Unlisted, j.membership.Announced = listed != nil && !*listed, j.options.Override.JoinLeave
	j.membership.Granted = granted || access.Insecure
	return j, nil
}

// subscriptionToken verifies the token of a subscribe, which is for this user, channel and
// client only. The zero Channel is that of the token.
func (s *Session) subscriptionToken(ctx context.Context, r SubscribeCommand) (SubscriptionToken, error) {
	t, err := s.tokens.Subscription(ctx, s.project, r.Token, s.now())
	switch {
	case errors.Is(err, ErrInvalidToken):
		return t, ErrPermissionDenied.With("the subscription token is invalid")
	case err != nil:
		return t, err
	case t.User != s.c.User, r.Channel != (Channel{}) && s.project.Locate(t.Channel) != s.project.Locate(r.Channel), t.Client != "" && t.Client != s.c.ID:
		return t, DisconnectInvalidToken
	}
	return t, nil
}

// plan is the change of a connection that subscribes make. It sets the outcomes of those that
// have no effect.
func (s *Session) plan(c Connection, joins []*joining, outcomes []SubscribeOutcome) (Change, error) {
	at, now := s.cmd.received(s.now()), s.now()
	channels, memberships := without(c.Channels, s.ended(s.project, c)), make(map[Channel]Membership)
	for i, j := range joins {
		if j == nil {
			continue
		}
		outcomes[i].Err = nil
		overtaken, err := c.Order.overtakenBy(j.Channel, j.Number, at)
		if overtaken {
			err = ErrConflict.With("a later command on the channel was carried out before")
		}
		if _, in := channels[j.Channel]; err == nil && !in && len(channels) >= MaxChannels {
			err = errTooManyChannels
		}
		if outcomes[i].Err = err; err != nil {
			if j.required {
				return Change{}, err
			}
			continue
		}
		j.again = c.wasIn(j.Channel)
		if _, in := channels[j.Channel]; !in {
			channels[j.Channel] = shardOf(c.ID, s.project.Categories[j.Channel.Category].SubscribeShards(now))
		}
		memberships[j.Channel] = j.membership
		c.ChannelInfo, c.Announced = c.ChannelInfo || j.membership.Info != nil, c.Announced || j.membership.Announced != nil
		c.Order = c.Order.withNumber([]Channel{j.Channel}, j.Number, at, now)
	}
	if err := checkChannels(channels); err != nil {
		return Change{}, err
	}
	c.Channels = channels
	return Change{Connection: c, Memberships: memberships}, nil
}

// wasIn reports whether the connection is in a channel, or was moments ago.
func (c Connection) wasIn(ch Channel) bool {
	_, in := c.Channels[ch]
	return in || c.Order.has(ch)
}

// errTooManyChannels: the connection is in as many channels as it may be.
var errTooManyChannels = ErrLimitExceeded.With(fmt.Sprintf("a connection may be in at most %d channels", MaxChannels))

// checkChannels refuses more channels of a connection than it may be in.
func checkChannels(channels map[Channel]int) error {
	bytes := 0
	for ch := range channels {
		bytes += len(ch.Category) + len(ch.Name)
	}
	switch {
	case len(channels) > MaxChannels:
		return errTooManyChannels
	case bytes > MaxChannelBytes:
		return ErrLimitExceeded.With(fmt.Sprintf("the names of the channels of a connection may have at most %d bytes", MaxChannelBytes))
	}
	return nil
}

// activateLater makes subscriptions receive what is sent direct when the client has the reply.
func (s *Session) activateLater(joins []*joining, outcomes []SubscribeOutcome) {
	var active []Admission
	for i, j := range joins {
		if j != nil && outcomes[i].Err == nil && j.membership.Joining && !j.streams {
			active = append(active, s.admission(j))
		}
	}
	if len(active) > 0 {
		s.after = append(s.after, func(ctx context.Context) error { return s.activate(ctx, active) })
	}
}

// activate makes subscriptions active that were not ended or replaced since.
func (s *Session) activate(ctx context.Context, active []Admission) error {
	var g errgroup.Group
	g.SetLimit(maxConcurrentMarks)
	for _, a := range active {
		g.Go(func() error {
			_, _, err := s.store.AdmitSubscriber(ctx, a, 0, Mark{})
			return err
		})
	}
	return g.Wait()
}

// admission is that of a subscription that was written.
func (s *Session) admission(j *joining) Admission {
	return Admission{Place: Place{j.Channel, s.c.Channels[j.Channel]}, Connection: s.c.ID, ID: j.membership.ID, Position: j.begins}
}

// admitLater admits a subscription to its stream when the client has the reply.
func (s *Session) admitLater(j *joining) {
	a := s.admission(j)
	s.concurrent = append(s.concurrent, func(ctx context.Context) error { return s.Admit(ctx, j.stream, a) })
}

// announceLater announces joins and leaves when the client has the reply.
func (s *Session) announceLater(all []announcement) {
	for _, a := range all {
		if a.isAnnounced(s.project.Categories[a.channel.Category]) {
			s.after = append(s.after, func(ctx context.Context) error {
				s.announce(ctx, all)
				return nil
			})
			return
		}
	}
}

// Unsubscribe ends the subscription to a channel. It has no effect where there is none, or a
// later command on the channel was carried out.
func (s *Session) Unsubscribe(ctx context.Context, number uint32, ch Channel) error {
	if err := s.valid(); err != nil {
		return err
	}
	ch = s.project.Locate(ch)
	at := s.cmd.received(s.now())
	after, all, err := s.changeConnection(ctx, s.c, func(c Connection) (Change, error) {
		overtaken, err := c.Order.overtakenBy(ch, number, at)
		if err != nil || overtaken {
			return Change{Connection: c}, err
		}
		left := maps.Clone(c.Channels)
		maps.DeleteFunc(left, func(l Channel, _ int) bool { return l.Category == ch.Category && l.Name == ch.Name })
		c.Channels, c.Order = left, c.Order.withNumber([]Channel{ch}, number, at, s.now())
		return Change{Connection: c}, nil
	})
	if err != nil {
		return err
	}
	s.c = after
	s.conclude(ctx, all, UnsubscribedByClient)
	return nil
}
