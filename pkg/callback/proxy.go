package callback

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

// ProxyTimeout limits a request of a Proxy, including the time to connect. It is the default of
// Centrifugo.
const ProxyTimeout = time.Second

// ProxyOptions configure a Proxy. The zero value is the default.
type ProxyOptions struct {
	// Insecure allows plain http and private addresses. UNSAFE: for the local stack
	// only.
	Insecure bool
	// Breakers are shared by all processes; nil means that every call asks.
	Breakers hub.Breakers
	// Log receives the error of every request that failed; nil discards it.
	Log *slog.Logger
	// Timeout limits a request; 0 means ProxyTimeout.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Proxy asks applications about clients of Centrifugo's protocol, at the proxy URLs of a project.
// It is safe for concurrent use. A process needs one: it keeps connections alive.
type Proxy struct {
	options ProxyOptions
	client  func() *http.Client
	breaker breaker
}

var _ hub.Proxies = (*Proxy)(nil)

// NewProxy returns a Proxy.
func NewProxy(o ProxyOptions) *Proxy {
	if o.Timeout == 0 {
		o.Timeout = ProxyTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Most processes ask nothing.
	client := sync.OnceValue(func() *http.Client { return newClient(o.Insecure, o.Timeout) })
	return &Proxy{options: o, client: client, breaker: breaker{o.Breakers, o.Log, o.Now}}
}

// Ask asks the application, under the contract of hub.Proxies. Request and reply are those of
// Centrifugo's proxies. The request is signed as Notifier.Notify signs, and has the same headers
// and no others. It makes one attempt.
//
// A reply is a status of 200 with a JSON object that has a disconnect, an error or a result; the
// first of them counts. Keys that Centrifugo does not know are ignored. Everything else is no
// valid answer: other statuses, redirects (which are not followed), time-outs, broken
// connections, bodies that are compressed or larger than 64 KB, an object that has a key twice,
// values of another type, codes out of their range, names, infos and tags over their limits. It
// is logged without any part of it, and counts for the breaker of the address.
//
// Ask fails immediately, without a request, while the breaker pauses.
func (x *Proxy) Ask(ctx context.Context, p *hub.Project, q hub.ProxyRequest) (hub.ProxyResult, error) {
	log := x.options.Log.With("project", p.ID, "proxy", string(q.Proxy))
	target := p.Options.ProxyURL(q.Proxy)
	address, err := parseAddress(target, x.options.Insecure)
	if err != nil {
		log.ErrorContext(ctx, "proxy failed", "error", err)
		return hub.ProxyResult{}, noReply(q.Proxy)
	}
	body, err := encodeProxyRequest(q)
	if err != nil {
		return hub.ProxyResult{}, fmt.Errorf("encode request to %s: %w", q.Proxy.Option(), err)
	}
	turn, err := x.breaker.enter(ctx, p.ID, target)
	if err != nil {
		log.DebugContext(ctx, "proxy not asked", "error", err)
		return hub.ProxyResult{}, noReply(q.Proxy)
	}
	var (
		result  hub.ProxyResult
		decided error
	)
	reply, err := x.post(ctx, p.WebhookSecret(), address, body)
	if err == nil {
		result, decided, err = decodeProxyReply(reply)
	}
	switch {
	case err == nil:
		turn.succeeded(ctx)
		return result, decided
	case ctx.Err() != nil:
		return hub.ProxyResult{}, fmt.Errorf("request %s: %w", q.Proxy.Option(), ctx.Err())
	}
	log.WarnContext(ctx, "proxy failed", "host", address.Host, "error", err)
	_ = turn.failed(ctx) // this call makes no further attempt
	return hub.ProxyResult{}, noReply(q.Proxy)
}

// noReply is the error of a client whose application gave no valid answer.
func noReply(x hub.Proxy) error {
	return hub.ErrInternal.WithHelp("the application gave no valid answer at " + x.Option() + ": repeat later; the log of the function message has the cause")
}

func (x *Proxy) post(ctx context.Context, secret string, address *url.URL, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, x.options.Timeout)
	defer cancel()
	req, err := newSignedRequest(ctx, secret, x.options.Now(), address, body)
	if err != nil {
		return nil, err
	}
	resp, err := x.client().Do(req)
	if err != nil {
		return nil, redact(err)
	}
	return read(resp)
}

// proxyRequest is the body of a request.
type proxyRequest struct {
	Client    string `json:"client"`
	Transport string `json:"transport"`
	Protocol  string `json:"protocol"`
	Encoding  string `json:"encoding"`
	// User is nil where it is not known yet.
	User     *string         `json:"user,omitempty"`
	Channel  string          `json:"channel,omitempty"`
	Method   *string         `json:"method,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Name     string          `json:"name,omitempty"`
	Version  string          `json:"version,omitempty"`
	Channels []string        `json:"channels,omitempty"`
	Meta     json.RawMessage `json:"meta,omitempty"`
}

func encodeProxyRequest(q hub.ProxyRequest) ([]byte, error) {
	r := proxyRequest{
		Client: q.Client, Transport: "websocket", Protocol: "json", Encoding: "json",
		Data: q.Data, Name: q.Name, Version: q.Version, Meta: q.Meta,
	}
	switch q.Proxy {
	case hub.ConnectProxy:
		for _, ch := range q.Channels {
			r.Channels = append(r.Channels, ch.String())
		}
	case hub.RPCProxy:
		r.User, r.Method = &q.User, &q.Method
	default:
		r.User = &q.User
		if q.Channel != (hub.Channel{}) {
			r.Channel = q.Channel.String()
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// attachment is what an application attaches to a subscription or a connection.
type attachment struct {
	Info     json.RawMessage `json:"info"`
	B64Info  string          `json:"b64info"`
	Data     json.RawMessage `json:"data"`
	B64Data  string          `json:"b64data"`
	Override hub.Override    `json:"override"`
}

// proxyReply is the body of a reply.
type proxyReply struct {
	Result *struct {
		attachment
		User     string                `json:"user"`
		Expired  bool                  `json:"expired"`
		ExpireAt int64                 `json:"expire_at"`
		Meta     json.RawMessage       `json:"meta"`
		Channels []string              `json:"channels"`
		Subs     map[string]attachment `json:"subs"`

		SkipHistory    bool              `json:"skip_history"`
		Tags           map[string]string `json:"tags"`
		IdempotencyKey string            `json:"idempotency_key"`
		Version        uint64            `json:"version"`
		VersionEpoch   string            `json:"version_epoch"`
	} `json:"result"`
	Error *struct {
		Code      int    `json:"code"`
		Message   string `json:"message"`
		Temporary bool   `json:"temporary"`
	} `json:"error"`
	Disconnect *struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"disconnect"`
}

// The codes that an application may use: errors from that of the first error of the protocol, and
// disconnects.
const (
	minErrorCode, maxErrorCode           = 100, 1999
	minDisconnectCode, maxDisconnectCode = 3000, 4999
	// maxDate is the last second of the year 9999.
	maxDate = 253402300799
)

// decodeProxyReply decodes a reply. decided is the error or the disconnect that the application
// decided. err means that the reply is not valid, and contains nothing of it.
func decodeProxyReply(body []byte) (result hub.ProxyResult, decided, err error) {
	invalid := func(err error) (hub.ProxyResult, error, error) { return hub.ProxyResult{}, nil, err }
	body = bytes.Trim(body, " \t\r\n")
	if hub.SyntaxError(body, "result", "data") != "" || body[0] != '{' {
		return invalid(errors.New("the reply is not a JSON object"))
	}
	if repeatsKey(body) {
		return invalid(errors.New("an object in the reply has a key twice"))
	}
	var reply proxyReply
	if err := json.Unmarshal(body, &reply); err != nil {
		return invalid(errors.New("a value in the reply has another type"))
	}
	switch r := reply.Result; {
	case reply.Disconnect != nil:
		d := reply.Disconnect
		if d.Code < minDisconnectCode || d.Code > maxDisconnectCode || len(d.Reason) > hub.MaxNameBytes {
			return invalid(fmt.Errorf("the disconnect in the reply has no code from %d to %d, or a longer reason than %d bytes", minDisconnectCode, maxDisconnectCode, hub.MaxNameBytes))
		}
		return hub.ProxyResult{}, &hub.Disconnection{Code: d.Code, Reason: d.Reason}, nil
	case reply.Error != nil:
		e := reply.Error
		if e.Code < minErrorCode || e.Code > maxErrorCode || len(e.Message) > hub.MaxNameBytes {
			return invalid(fmt.Errorf("the error in the reply has no code from %d to %d, or a longer message than %d bytes", minErrorCode, maxErrorCode, hub.MaxNameBytes))
		}
		return hub.ProxyResult{}, &hub.ApplicationError{Code: e.Code, Message: e.Message, Temporary: e.Temporary}, nil
	case r == nil:
		return invalid(errors.New("the reply has neither result, error nor disconnect"))
	default:
		result = hub.ProxyResult{
			User: r.User, Expired: r.Expired, Override: r.Override,
			Publish: hub.PublishOptions{
				IdempotencyKey: r.IdempotencyKey, SkipHistory: r.SkipHistory, Tags: r.Tags, Version: r.Version, VersionEpoch: r.VersionEpoch,
			},
		}
		if r.ExpireAt != 0 {
			result.Expires = time.Unix(r.ExpireAt, 0)
		}
		options, err := r.options()
		if err != nil {
			return invalid(err)
		}
		result.Info, result.Data = options.Info, options.Data
		if result.Meta, err = attached("meta", r.Meta, "", hub.MaxMetaBytes); err != nil {
			return invalid(err)
		}
		if result.Subscriptions, err = subscriptions(r.Channels, r.Subs); err != nil {
			return invalid(err)
		}
		switch {
		case r.ExpireAt < 0 || r.ExpireAt > maxDate:
			return invalid(errors.New("expire_at in the reply is not a date in seconds since 1970"))
		case len(r.User) > hub.MaxNameBytes:
			return invalid(fmt.Errorf("user in the reply is longer than %d bytes", hub.MaxNameBytes))
		case len(r.IdempotencyKey) > hub.MaxNameBytes || len(r.VersionEpoch) > hub.MaxNameBytes:
			return invalid(fmt.Errorf("idempotency_key or version_epoch in the reply is longer than %d bytes", hub.MaxNameBytes))
		case hub.ValidateTags(r.Tags) != nil:
			return invalid(fmt.Errorf("tags in the reply have no names or exceed %d tags or %d bytes", hub.MaxTags, hub.MaxTagBytes))
		}
		return result, nil, nil
	}
}

// subscriptions are those that the server makes: subs, or channels where there are no subs, as in
// a token.
func subscriptions(channels []string, subs map[string]attachment) (map[hub.Channel]hub.SubscribeOptions, error) {
	if len(subs) == 0 {
		subs = make(map[string]attachment, len(channels))
		for _, name := range channels {
			subs[name] = attachment{}
		}
	}
	if len(subs) > hub.MaxChannels {
		return nil, fmt.Errorf("the reply subscribes to more than %d channels", hub.MaxChannels)
	}
	if len(subs) == 0 {
		return nil, nil
	}
	all := make(map[hub.Channel]hub.SubscribeOptions, len(subs))
	for name, of := range subs {
		ch, err := hub.ParseChannel("", name)
		if err != nil {
			return nil, errors.New("a name of a channel in the reply is not valid")
		}
		if all[ch], err = of.options(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a attachment) options() (o hub.SubscribeOptions, err error) {
	o.Override = a.Override
	if o.Info, err = attached("info", a.Info, a.B64Info, hub.MaxInfoBytes); err != nil {
		return o, err
	}
	o.Data, err = attached("data", a.Data, a.B64Data, maxResponseBytes)
	return o, err
}

// attached is a compact JSON value of at most limit bytes, which may be encoded in base64. It is
// nil where there is none, and for null.
func attached(name string, value json.RawMessage, encoded string, limit int) (json.RawMessage, error) {
	if encoded != "" {
		var err error
		if value, err = base64.StdEncoding.DecodeString(encoded); err != nil || hub.SyntaxError(value) != "" {
			return nil, fmt.Errorf("b64%s in the reply is not JSON in base64", name)
		}
	}
	if len(value) == 0 || string(value) == "null" {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return nil, fmt.Errorf("%s in the reply is not valid JSON", name)
	}
	if b.Len() > limit {
		return nil, fmt.Errorf("%s in the reply is longer than %d bytes", name, limit)
	}
	return b.Bytes(), nil
}
