package hub

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Refresh renews the token of the connection, and with it the permissions, and the info and the
// meta where the token has one. It returns after which time the client should do so again. Where the
// project has a ProxyRefreshURL the application decides, and not the token. It fails with
// ErrBadRequest without a token, as Proxies.Ask does, and with a *Disconnection where the token is
// invalid, of another user or expired, or subscribes to other channels than the last one, or where
// it comes when the connection has ended: then the client connects again, and recovers what it has
// missed.
func (s *Session) Refresh(ctx context.Context, number uint32, token string) (time.Duration, error) {
	if err := s.valid(); err != nil {
		return 0, err
	}
	if s.project.asksAboutEnd() {
		r, err := s.ask(ctx, s.project, ProxyRequest{Proxy: RefreshProxy})
		if err != nil {
			return 0, err
		}
		return 0, s.goOn(ctx, r)
	}
	if token == "" {
		return 0, ErrBadRequest.With("token is required")
	}
	t, err := s.tokens.Connection(ctx, s.project, token, s.now())
	switch {
	case errors.Is(err, ErrInvalidToken):
		return 0, DisconnectInvalidToken
	case errors.Is(err, ErrTokenExpired):
		return 0, DisconnectExpired
	case err != nil:
		return 0, err
	case t.User != s.c.User:
		return 0, DisconnectInvalidToken
	case t.channels() != s.c.TokenChannels:
		return 0, DisconnectInsufficientState
	}
	at := s.cmd.received(s.now())
	after, renewed, err := s.changeConnection(ctx, s.c, func(c Connection) (Change, error) {
		if overtaken, err := c.Order.overtakenBy(auths, number, at); overtaken || err != nil {
			return Change{Connection: c}, err
		}
		c.TokenExpires, c.Secret, c.AnyOrigin = t.ConnectionExpires, t.Secret, t.AnyOrigin
		c.Permissions = Permissions{}
		if t.Permissions != nil {
			c.Permissions = *t.Permissions
		}
		if t.Info != nil {
			c.Info = t.Info
		}
		if t.Meta != nil {
			c.Meta = t.Meta
		}
		c.Order = c.Order.withNumber([]Channel{auths}, number, at, s.now())
		return Change{Connection: c}, nil
	})
	s.reportChanges(ctx, renewed, UnsubscribedInsufficientState)
	if err != nil {
		return 0, err
	}
	s.c = after
	return s.ttl(after.TokenExpires), nil
}

// RefreshSubscription renews the token of the subscription to a channel. It returns after which
// time the client should do so again. Where the category has SubRefreshProxyEnabled the
// application decides, and not the token. It fails with ErrTokenExpired, with ErrPermissionDenied where
// there is no subscription or the token is invalid, and with a *Disconnection where it is for
// another user, channel or client, and as Proxies.Ask does. A subscription that has ended is
// subscribed anew. The zero Channel is that of the token.
func (s *Session) RefreshSubscription(ctx context.Context, ch Channel, token string) (time.Duration, error) {
	if err := s.valid(); err != nil {
		return 0, err
	}
	if ch == (Channel{}) {
		t, err := s.subscriptionToken(ctx, SubscribeCommand{Token: token})
		if err != nil {
			return 0, err
		}
		ch = t.Channel
	}
	ch = s.project.Locate(ch)
	shard, in := s.c.Channels[ch]
	if !in {
		return 0, ErrPermissionDenied.With("the connection is not subscribed to the channel")
	}
	expires, info, ttl, err := s.subscriptionEnd(ctx, ch, token)
	if err != nil {
		return 0, err
	}
	renewed, err := s.store.RenewSubscriber(ctx, Gone{Connection: s.c.ID, Channel: ch, Shard: shard}, expires, info)
	if err != nil {
		return 0, err
	}
	if info != nil && !s.c.ChannelInfo {
		_, s.c, err = s.store.ChangeConnection(ctx, s.c, func(c Connection) (Change, error) {
			c.ChannelInfo = true
			return Change{Connection: c}, nil
		})
		if err != nil {
			return 0, err
		}
	}
	if renewed {
		s.reportChanges(ctx, []announcement{{event: renewal, connection: s.c, channel: ch}}, UnsubscribedInsufficientState)
	}
	if !renewed {
		// It may have missed messages: the client subscribes again, and recovers them.
		s.after = append(s.after, func(ctx context.Context) error {
			return s.notify(ctx, []announcement{{event: Leave, connection: s.c, channel: ch}}, UnsubscribedInsufficientState)
		})
	}
	return ttl, nil
}

// subscriptionEnd is until when a subscription goes on, its info, and after which time the client
// should renew it again.
func (s *Session) subscriptionEnd(ctx context.Context, ch Channel, token string) (expires time.Time, info json.RawMessage, ttl time.Duration, err error) {
	if s.project.Categories[ch.Category].SubRefreshProxyEnabled {
		r, err := s.end(ctx, ch)
		return r.Expires, r.Info, 0, err
	}
	t, err := s.subscriptionToken(ctx, SubscribeCommand{Channel: ch, Token: token})
	return t.SubscriptionExpires, t.Info, s.ttl(t.SubscriptionExpires), err
}

// ttl is after which time a client should renew a token: some time before its end, so that it
// misses nothing.
func (s *Session) ttl(expires time.Time) time.Duration {
	if expires.IsZero() {
		return 0
	}
	left := expires.Sub(s.now())
	return max((left - min(left/5, maxRenewalLead)).Truncate(time.Second), time.Second)
}

// renewal is after which time the client should renew the token of its connection; 0 for never:
// where the application decides about the end, the service asks it.
func (s *Session) renewal(expires time.Time) time.Duration {
	if s.project.asksAboutEnd() {
		return 0
	}
	return s.ttl(expires)
}

// maxRenewalLead is how long before the end of a token its client renews it at the earliest.
const maxRenewalLead = 10 * time.Second
