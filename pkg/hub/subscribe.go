package hub

import (
	"context"
	"encoding/json"
	"errors"
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
	var early errgroup.Group
	early.Go(func() error { s.openStreams(ctx, joins, outcomes, false); return nil })
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
	s.openStreams(ctx, joins, outcomes, true)
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

// openStreams opens streams before and after their subscriptions are written: before, which is at the
// same time, those in which the connection has not been. The admission sends the messages that are
// dispatched between the two, and all that follow. Where the connection was in the channel its former
// subscription may get them: then the stream is opened when the new one is written. It is also opened
// then where the frame may have more channels than are allowed: a stream in which nobody subscribes
// costs writes. joins have the failures.
func (s *Session) openStreams(ctx context.Context, joins []*joining, outcomes []SubscribeOutcome, written bool) {
	var g errgroup.Group
	g.SetLimit(maxConcurrentJoins)
	for i, j := range joins {
		again := false
		switch {
		case j == nil || !j.streams, !written && !j.early:
			continue
		case written && (outcomes[i].Err != nil || j.early && !j.again):
			continue
		case written:
			again = j.again // it is decided while early ones are opened
		}
		g.Go(func() error {
			s.open(ctx, j, &outcomes[i].Subscribed, again)
			return nil
		})
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
