package hub

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"
)

// Login are the parameters of a client that numbers its commands when it gives its connection
// an identity.
type Login struct {
	// Number is that of the command.
	Number uint32
	// Token is a JWT, "" for none: then the application is asked, where it answers that.
	Token string
	// Data is a JSON value for the application, or nil. Name and Version are what the client
	// calls itself and its version. Channels are those to which the server had subscribed it.
	Data          json.RawMessage
	Name, Version string
	Channels      []Channel
	// Since are positions of subscriptions by the server that the client had before, and
	// wants to be recovered.
	Since map[Channel]Position
}

// LoggedIn is the result of a Login.
type LoggedIn struct {
	// Client is the id of the connection.
	Client string
	// TTL is after which time the client should renew its token, in whole seconds; 0 for
	// never.
	TTL time.Duration
	// Data is a JSON value of the application for the client, or nil.
	Data json.RawMessage
	// Subscriptions are those that the server has made.
	Subscriptions map[Channel]Subscribed
}

// Login gives the connection an identity. The project is the one in the URL of the handshake.
// It fails with ErrTokenExpired, after which the client gets another token, with a
// *Disconnection, as Proxies.Ask does, or as the subscribes that the server makes for the client do;
// nothing is written then, except where a stream could not be read.
func (s *Session) Login(ctx context.Context, l Login) (LoggedIn, error) {
	if s.project != nil {
		return LoggedIn{}, DisconnectBadRequest
	}
	p, err := s.scope(ctx)
	if err != nil {
		return LoggedIn{}, err
	}
	token, data, err := s.identify(ctx, p, l)
	if err != nil {
		return LoggedIn{}, err
	}
	if !token.AnyOrigin && !p.Options.AllowsOrigin(s.c.Origin) {
		return LoggedIn{}, DisconnectPermissionDenied
	}
	c := s.c
	c.Project, c.User, c.Info, c.Protocol, c.Batch = p.ID, token.User, token.Info, Centrifugo, true
	c.TokenExpires, c.Secret, c.AnyOrigin = token.ConnectionExpires, token.Secret, token.AnyOrigin
	c.Meta, c.LoggingIn = token.Meta, token.User != ""
	if token.Permissions != nil {
		c.Permissions = *token.Permissions
	}
	requests := s.serverSubscriptions(p, token, l)
	former := s.c
	s.c, s.project, s.unanswered = c, p, true
	outcomes, err := s.subscribe(ctx, former, requests, func(before Connection) (Connection, error) {
		if before.Project != "" {
			// Another login, or this one: its answer was lost, and the SDK of DynamoDB has repeated it.
			return Connection{}, DisconnectInsufficientState
		}
		c.Channels, c.Order, c.Revision = before.Channels, before.Order, before.Revision
		return c, nil
	})
	if err != nil {
		return LoggedIn{}, err
	}
	in := LoggedIn{Client: c.ID, TTL: s.renewal(c.TokenExpires), Data: data}
	for i, o := range outcomes {
		if o.Err != nil {
			return LoggedIn{}, o.Err
		}
		if in.Subscriptions == nil {
			in.Subscriptions = make(map[Channel]Subscribed, len(outcomes))
		}
		in.Subscriptions[requests[i].Channel] = o.Subscribed
	}
	if c.LoggingIn {
		// Until then no request of the application finds the connection by its user, and sends
		// it something before the reply.
		s.after = append(s.after, s.loggedIn)
	}
	return in, nil
}

// loggedIn writes that the client has the reply to its login.
func (s *Session) loggedIn(ctx context.Context) (err error) {
	_, s.c, err = s.store.ChangeConnection(ctx, s.c, func(c Connection) (Change, error) {
		c.LoggingIn = false
		return Change{Connection: c}, nil
	})
	return err
}

// scope is the project in which a connection is: that of the URL of the handshake, or the one
// of the deployment.
func (s *Session) scope(ctx context.Context) (*Project, error) {
	id := s.c.Scope
	if id == "" {
		id = s.defaultProject
	}
	if id == "" {
		return nil, &Disconnection{DisconnectBadRequest.Code, "no ?project=ID in the URL"}
	}
	p, err := s.store.Project(ctx, id)
	if errors.Is(err, ErrProjectNotFound) {
		return nil, &Disconnection{DisconnectBadRequest.Code, "project not found"}
	}
	return p, err
}

// identify verifies a token, or asks the application. data is for the client.
func (s *Session) identify(ctx context.Context, p *Project, l Login) (t ConnectionToken, data json.RawMessage, err error) {
	switch {
	case l.Token == "" && p.Options.ProxyConnectURL != "":
		return s.connect(ctx, p, l)
	case l.Token == "" && p.Options.Insecure:
		return ConnectionToken{Secret: WithoutRules}, nil, nil
	case l.Token == "" && p.Options.AllowAnonymousConnectWithoutToken:
		return ConnectionToken{Secret: WithoutToken}, nil, nil
	case l.Token == "":
		return ConnectionToken{}, nil, DisconnectBadRequest
	}
	now := s.now()
	t, err = s.tokens.Connection(ctx, p, l.Token, now)
	if errors.Is(err, ErrInvalidToken) {
		return ConnectionToken{}, nil, DisconnectInvalidToken
	}
	return t, nil, err
}

// serverSubscriptions are the subscriptions that the token and the project make for a client.
func (s *Session) serverSubscriptions(p *Project, t ConnectionToken, l Login) (requests []SubscribeCommand) {
	all := maps.Clone(t.Subscriptions)
	if all == nil {
		all = make(map[Channel]SubscribeOptions)
	}
	if p.Options.SubscribeToUserPersonalChannel && t.User != "" {
		if _, named := all[personal(t.User)]; !named {
			all[personal(t.User)] = SubscribeOptions{}
		}
	}
	for ch, o := range all {
		since, recovers := l.Since[ch]
		requests = append(requests, SubscribeCommand{
			Number: l.Number, Channel: ch, Recover: recovers, Since: since, server: true, required: true, options: o,
		})
	}
	return requests
}

// personal is the channel to which every connection of a user is subscribed where the project
// says so.
func personal(user string) Channel { return Channel{Name: "#" + user} }

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

// Refresh renews the token of the connection, and with it the permissions, and the info and the
// meta where the token has one. It returns after which time the client should do so again. Where the
// project has a ProxyRefreshURL the application decides, and not the token. It fails with
// ErrBadRequest without a token, as Proxies.Ask does, and with a *Disconnection where the token is
// invalid, of another user or expired, or where it comes when the connection has ended: then the
// client connects again, and recovers what it has missed.
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
	}
	at := s.cmd.received(s.now())
	_, after, err := s.store.ChangeConnection(ctx, s.c, func(c Connection) (Change, error) {
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
	if err != nil {
		return 0, err
	}
	s.c = after
	return s.ttl(after.TokenExpires), nil
}
