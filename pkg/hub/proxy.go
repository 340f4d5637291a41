package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Proxy is a decision about a client of Centrifugo's protocol that the application makes, in a
// request of the service. The names are Centrifugo's.
type Proxy string

// The proxies.
const (
	// ConnectProxy: who is a client that sends no token?
	ConnectProxy Proxy = "connect"
	// RefreshProxy: does a connection go on, whose end is near?
	RefreshProxy Proxy = "refresh"
	// SubscribeProxy: may a client subscribe?
	SubscribeProxy Proxy = "subscribe"
	// PublishProxy: may a client publish, and what is published?
	PublishProxy Proxy = "publish"
	// SubRefreshProxy: does a subscription go on?
	SubRefreshProxy Proxy = "sub_refresh"
	// RPCProxy: what does a method of the application return?
	RPCProxy Proxy = "rpc"
)

// AllProxies are the proxies.
var AllProxies = []Proxy{ConnectProxy, RefreshProxy, SubscribeProxy, PublishProxy, SubRefreshProxy, RPCProxy}

// Option is the name of the option of a project that has the URL.
func (x Proxy) Option() string { return "proxy_" + string(x) + "_url" }

// ProxyURL is where the application answers a proxy, "" where it is not asked.
func (o ProjectOptions) ProxyURL(x Proxy) string {
	switch x {
	case ConnectProxy:
		return o.ProxyConnectURL
	case RefreshProxy:
		return o.ProxyRefreshURL
	case SubscribeProxy:
		return o.ProxySubscribeURL
	case PublishProxy:
		return o.ProxyPublishURL
	case SubRefreshProxy:
		return o.ProxySubRefreshURL
	case RPCProxy:
		return o.ProxyRPCURL
	}
	return ""
}

// ProxyRequest is what the application is asked. Fields that a proxy does not have are zero.
type ProxyRequest struct {
	Proxy Proxy
	// Client is the id of the connection.
	Client string
	// User is that of the connection, "" for an anonymous client and for ConnectProxy.
	User string
	// Meta is that of the connection, or nil. ConnectProxy has none.
	Meta json.RawMessage
	// Channel is that of SubscribeProxy, PublishProxy and SubRefreshProxy.
	Channel Channel
	// Method is that of RPCProxy, and may be "".
	Method string
	// Data is any JSON value of the client for the application, nil for none. RefreshProxy and
	// SubRefreshProxy have none.
	Data json.RawMessage
	// Name and Version are what the client of ConnectProxy calls itself and its version, and
	// Channels are those to which the server had subscribed it before.
	Name, Version string
	Channels      []Channel
}

// ProxyResult is what the application decides where it allows what it is asked. Fields that a
// proxy does not have do not matter.
type ProxyResult struct {
	// User is that of a client of ConnectProxy, "" for an anonymous one.
	User string
	// Expired ends the connection of RefreshProxy or the subscription of SubRefreshProxy.
	Expired bool
	// Expires is when the connection or the subscription ends, zero for never. Whole seconds.
	Expires time.Time
	// Info is a JSON value of at most MaxInfoBytes that others see: of the user for
	// ConnectProxy and RefreshProxy, of the subscription for the other two; nil for none, and
	// to keep it at a refresh.
	Info json.RawMessage
	// Meta is a JSON value of at most MaxMetaBytes that no client sees, or nil, as for Info.
	Meta json.RawMessage
	// Data is a JSON value: for the client, or what is published instead of what it sent. It
	// is nil for none.
	Data json.RawMessage
	// Subscriptions are those that ConnectProxy makes, at most MaxChannels. Channels have the
	// form of a client's command.
	Subscriptions map[Channel]SubscribeOptions
	// Override replaces options of the channel for the subscription of SubscribeProxy.
	Override Override
	// Publish are options of the publish of PublishProxy. Its tags are valid.
	Publish PublishOptions
}

// Proxies asks applications. It is safe for concurrent use.
type Proxies interface {
	// Ask makes one request to the URL that p has for the proxy, which must not be "". It
	// fails with an *ApplicationError or a *Disconnection that the application decided, with
	// ErrInternal, after it was logged, where the application gave no valid answer in time,
	// and with the error of ctx, wrapped, where that ended first.
	Ask(ctx context.Context, p *Project, q ProxyRequest) (ProxyResult, error)
}

// ApplicationError is an error that the application decided: the client gets it as it is. Its
// codes may be those of an Error with another meaning.
type ApplicationError struct {
	// Code is from 100 to 1999. Applications choose those from 400 on.
	Code int
	// Message is for people: at most MaxNameBytes.
	Message string
	// Temporary means that the same command may succeed later.
	Temporary bool
}

// Error is the message and the code.
func (e *ApplicationError) Error() string {
	return fmt.Sprintf("the application answered: %s (%d)", e.Message, e.Code)
}

const (
	// ProxyBudget is how long after its beginning a frame may wait for the application, for all
	// its commands together. It is shorter than clients wait for a reply, and longer than one
	// request.
	ProxyBudget = 4 * time.Second
	// maxConcurrentProxies bounds the requests to the application that one frame makes
	// concurrently.
	maxConcurrentProxies = 64
	// proxyRefreshLead is how long before the end of a connection a command of it makes the
	// service ask the application. proxyRefreshGrace is how much longer a connection lives
	// where there is no answer, as in Centrifugo.
	proxyRefreshLead, proxyRefreshGrace = 30 * time.Second, time.Minute
)

// ask asks the application about the client. It fails as Proxies.Ask does, with ErrInternal when
// the frame has waited for ProxyBudget, and with ErrNotAvailable where the project has no URL.
func (s *Session) ask(ctx context.Context, p *Project, q ProxyRequest) (ProxyResult, error) {
	if s.proxies == nil || p.Options.ProxyURL(q.Proxy) == "" {
		return ProxyResult{}, ErrNotAvailable.WithHelp("the project has no " + q.Proxy.Option() + ": set it")
	}
	q.Client, q.User, q.Meta = s.c.ID, s.c.User, s.c.Meta
	within, cancel := context.WithDeadline(ctx, s.began.Add(ProxyBudget))
	defer cancel()
	r, err := s.proxies.Ask(within, p, q)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "application out of time", "project", p.ID, "proxy", string(q.Proxy), "connection", s.c.ID)
		return ProxyResult{}, ErrInternal.WithHelp("the commands of one frame waited too long for the application: repeat later")
	}
	return r, err
}

// connect asks the application who the client is.
func (s *Session) connect(ctx context.Context, p *Project, l Login) (ConnectionToken, json.RawMessage, error) {
	if !p.Options.AllowsOrigin(s.c.Origin) {
		return ConnectionToken{}, nil, DisconnectPermissionDenied
	}
	r, err := s.ask(ctx, p, ProxyRequest{Proxy: ConnectProxy, Data: l.Data, Name: l.Name, Version: l.Version, Channels: l.Channels})
	if err == nil {
		err = s.unexpired(r)
	}
	return ConnectionToken{
		User: r.User, ConnectionExpires: r.Expires, Info: r.Info, Meta: r.Meta, Subscriptions: r.Subscriptions, Secret: ByApplication,
	}, r.Data, err
}

// unexpired fails with ErrExpired for a result with an end that has passed.
func (s *Session) unexpired(r ProxyResult) error {
	if r.Expired || !r.Expires.IsZero() && !r.Expires.After(s.now()) {
		return ErrExpired
	}
	return nil
}

// asksAboutEnd reports whether the application decides about the end of the connections of the
// project, so that clients are not told to send another token.
func (p *Project) asksAboutEnd() bool { return p.Options.ProxyRefreshURL != "" }

// prolong asks the application whether the connection goes on, where its end is at most lead away.
// Where the application does not answer, it goes on for proxyRefreshGrace at least; where it answers
// with an error, it ends as it would. It fails with a *Disconnection.
func (s *Session) prolong(ctx context.Context, lead time.Duration) error {
	left := s.c.Until().Sub(s.now())
	if !s.project.asksAboutEnd() || s.c.TokenExpires.IsZero() || left <= 0 || left > lead || !s.project.admits(s.c) {
		return nil
	}
	r, err := s.ask(ctx, s.project, ProxyRequest{Proxy: RefreshProxy})
	switch refused := (*ApplicationError)(nil); {
	case errors.As(err, &refused):
		return s.valid()
	case errors.Is(err, ErrInternal):
		if r.Expires = s.now().Add(proxyRefreshGrace).Truncate(time.Second); r.Expires.Before(s.c.TokenExpires) {
			return nil
		}
	case err != nil:
		return err
	}
	return s.goOn(ctx, r)
}

// goOn gives the connection another end. It fails with DisconnectExpired where the application
// ends it.
func (s *Session) goOn(ctx context.Context, r ProxyResult) error {
	if s.unexpired(r) != nil {
		return DisconnectExpired
	}
	after, renewed, err := s.changeConnection(ctx, s.c, func(c Connection) (Change, error) {
		c.TokenExpires = r.Expires
		if r.Info != nil {
			c.Info = r.Info
		}
		if r.Meta != nil {
			c.Meta = r.Meta
		}
		return Change{Connection: c}, nil
	})
	s.reportChanges(ctx, renewed, UnsubscribedInsufficientState)
	if err == nil {
		s.c = after
	}
	return err
}

// asksToSubscribe reports whether the application decides about a subscribe without a token. As
// in Centrifugo it does not where a "$" requires a token, or where the name of the channel lists
// users. A grant of the connection is its answer already.
func (a Access) asksToSubscribe(ch Channel) bool {
	c, err := a.category(ch)
	return err == nil && c.SubscribeProxyEnabled && a.stated(ch) != granted && !ch.private() && !a.Project.limits(ch)
}

// asksToPublish reports whether the application decides about a publish. It fails as
// Access.Publish does for a channel that no client may use.
func (a Access) asksToPublish(ch Channel) (bool, error) {
	c, err := a.category(ch)
	return c.PublishProxyEnabled, err
}

// publishAsked asks the application what is published in place of m.
func (s *Session) publishAsked(ctx context.Context, category Category, m *Message) (PublishOptions, error) {
	r, err := s.ask(ctx, s.project, ProxyRequest{Proxy: PublishProxy, Channel: m.Channel, Data: m.Data})
	if err != nil {
		return PublishOptions{}, err
	}
	if r.Data != nil {
		if m.Data, err = s.prepare(category, r.Data); err != nil {
			return PublishOptions{}, err
		}
	}
	m.Tags = r.Publish.Tags
	return r.Publish, nil
}

// end is until when a subscription goes on by the decision of the application.
func (s *Session) end(ctx context.Context, ch Channel) (ProxyResult, error) {
	r, err := s.ask(ctx, s.project, ProxyRequest{Proxy: SubRefreshProxy, Channel: ch})
	if err == nil {
		err = s.unexpired(r)
	}
	return r, err
}
