package hub

import (
	"context"
	"errors"
	"fmt"
	"time"
)

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
