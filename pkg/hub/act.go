package hub

import (
	"context"
	"encoding/json"
	"fmt"
)

// What a client that numbers its commands does in a channel.

// Publish sends a message of the client to a channel. Where the category has
// PublishProxyEnabled the application decides, and may change the message. It fails with
// ErrCategoryNotFound, ErrPermissionDenied, and as Publisher.Publish and Proxies.Ask do.
func (s *Session) Publish(ctx context.Context, ch Channel, data json.RawMessage) error {
	if err := s.valid(); err != nil {
		return err
	}
	ch = s.project.Locate(ch)
	asks, err := s.access().asksToPublish(ch)
	var own Subscriber
	if err == nil && !asks {
		own, err = s.may(ctx, ch, s.access().Publish)
	}
	if err == nil && own.Connection == "" && s.c.ChannelInfo {
		own, err = s.subscription(ctx, ch)
	}
	if err != nil {
		return err
	}
	category := s.project.Categories[ch.Category]
	m, err := s.accept(s.project, category, ch, data)
	if err != nil {
		return err
	}
	m.Client = Client{Connection: s.c.ID, User: s.c.User, Info: s.c.Info, ChannelInfo: own.Info}
	var o PublishOptions
	if asks {
		if o, err = s.publishAsked(ctx, category, &m); err != nil {
			return err
		}
	}
	_, err = s.send(ctx, s.project, category, m, o)
	return err
}

// Presence returns the clients in a channel. It fails with ErrCategoryNotFound,
// ErrPermissionDenied, and as Hub.Presence does, with MaxMessageBytes instead of
// MaxPresenceBytes.
func (s *Session) Presence(ctx context.Context, ch Channel) ([]Client, error) {
	ch, err := s.mayReadPresence(ctx, ch)
	if err != nil {
		return nil, err
	}
	return s.presence(ctx, s.project, ch, MaxMessageBytes)
}

// PresenceStats counts the clients in a channel, as Hub.PresenceStats does. It fails as Presence
// does, but not for many clients.
func (s *Session) PresenceStats(ctx context.Context, ch Channel) (PresenceStats, error) {
	ch, err := s.mayReadPresence(ctx, ch)
	if err != nil {
		return PresenceStats{}, err
	}
	return s.Publisher.PresenceStats(ctx, s.project, ch)
}

func (s *Session) mayReadPresence(ctx context.Context, ch Channel) (Channel, error) {
	if err := s.mayRead(); err != nil {
		return ch, err
	}
	ch = s.project.Locate(ch)
	_, err := s.may(ctx, ch, s.access().Presence)
	return ch, err
}

// maxReads is how many presences and histories one frame may read: each may read megabytes.
const maxReads = 16

// mayRead counts a command that reads. It fails as valid does, and with ErrTooManyRequests.
func (s *Session) mayRead() error {
	if err := s.valid(); err != nil {
		return err
	}
	if s.reads++; s.reads > maxReads {
		return ErrTooManyRequests.With(fmt.Sprintf("a frame may read at most %d histories and presences", maxReads))
	}
	return nil
}

// History returns publications of a channel's stream, as many as a reply has room for, and its top. It fails with
// ErrCategoryNotFound, ErrPermissionDenied, and as Hub.History does.
func (s *Session) History(ctx context.Context, ch Channel, q HistoryQuery) ([]Message, Position, error) {
	if err := s.mayRead(); err != nil {
		return nil, Position{}, err
	}
	ch = s.project.Locate(ch)
	if _, err := s.may(ctx, ch, s.access().History); err != nil {
		return nil, Position{}, err
	}
	q.Bytes = MaxMessageBytes // a reply can hold no more
	publications, top, err := s.Publisher.History(ctx, s.project, ch, q)
	return fitting(publications), top, err
}

// RPC calls a method of the application, and returns what it returns, nil for nothing. It fails
// with ErrNotAvailable where the project has no ProxyRPCURL, and as Proxies.Ask does.
func (s *Session) RPC(ctx context.Context, method string, data json.RawMessage) (json.RawMessage, error) {
	if err := s.valid(); err != nil {
		return nil, err
	}
	r, err := s.ask(ctx, s.project, ProxyRequest{Proxy: RPCProxy, Method: method, Data: data})
	return r.Data, err
}

// Send passes a message to the application. It fails with DisconnectNotAvailable: no
// application gets such messages, as in Centrifugo.
func (s *Session) Send(context.Context, json.RawMessage) error {
	if err := s.valid(); err != nil {
		return err
	}
	return DisconnectNotAvailable
}

// may decides by a rule that gets whether the connection is subscribed. Where that matters the
// subscription is read, and returned: it may have ended, although the connection names it.
func (s *Session) may(ctx context.Context, ch Channel, rule func(ch Channel, subscribed bool) error) (Subscriber, error) {
	err := rule(ch, false)
	if _, in := s.c.Channels[ch]; err == nil || !in || rule(ch, true) != nil {
		return Subscriber{}, err
	}
	found, readErr := s.subscription(ctx, ch)
	if readErr != nil {
		return found, readErr
	}
	if found.Connection == "" || found.Hidden || found.Lost || !s.project.audience(ch).Rule.Admits(found.Basis) {
		return found, err
	}
	return found, nil
}

// subscription reads the subscription of the connection to a channel. It is the zero Subscriber
// where there is none, or it has expired.
func (s *Session) subscription(ctx context.Context, ch Channel) (Subscriber, error) {
	shard, in := s.c.Channels[ch]
	if !in {
		return Subscriber{}, nil
	}
	found, valid, err := s.store.ReadSubscriber(ctx, Gone{Connection: s.c.ID, Channel: ch, Shard: shard})
	if !valid {
		return Subscriber{}, err
	}
	return found, err
}
