package hub

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
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
	// Ping is after which time without a ping the client should take the connection for lost; 0 for
	// a connection that gets none.
	Ping time.Duration
	// Data is a JSON value of the application for the client, or nil.
	Data json.RawMessage
	// Subscriptions are those that the server has made.
	Subscriptions map[Channel]Subscribed
}

// Login gives the connection an identity. The project is the one in the URL of the handshake.
// It fails with ErrTokenExpired, after which the client gets another token, with a
// *Disconnection, as Proxies.Ask does, or as the subscribes that the server makes for the client do;
// nothing is written then, except the heads of new streams, and where a stream could not be read.
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
	c.TokenChannels = token.channels()
	c.Meta, c.LoggingIn, c.Watched = token.Meta, token.User != "", p.Options.DisconnectEvents
	if s.pings {
		c.PingMinutes = pingMinutes(p.Options.PingInterval)
	}
	if token.Permissions != nil {
		c.Permissions = *token.Permissions
	}
	requests := s.serverSubscriptions(p, token, l)
	former := s.c
	s.c, s.project, s.unanswered, s.loginRoom = c, p, true, loginRoom(data, requests)
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
	if c.PingMinutes > 0 {
		in.Ping = time.Duration(c.PingMinutes)*time.Minute + pingMargin
		s.writePing(ctx, c)
	}
	if c.LoggingIn {
		// First: the next command of the client changes the connection too, and would have to repeat it.
		s.concurrent = slices.Insert(s.concurrent, 0, s.loggedIn)
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
	if _, exists := p.Categories[""]; exists && p.Options.SubscribeToUserPersonalChannel && t.User != "" {
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
