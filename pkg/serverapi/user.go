package serverapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"centrifuge/pkg/hub"
)

// someone is whom a request concerns: a user, or one of the user's clients. A client and its
// session have the same id here, which is that of the connection.
type someone struct {
	User    string `json:"user"`
	Client  string `json:"client"`
	Session string `json:"session"`
}

// check makes Client the only client that is meant, "" for all of the user. It fails with
// hub.ErrBadRequest where nobody is named, and where client and session are two: no client
// has another session.
func (s *someone) check() error {
	if s.Client == "" {
		s.Client = s.Session
	}
	switch {
	case s.User == "" && s.Client == "":
		return hub.ErrBadRequest.With("user is required")
	case s.Session != "" && s.Session != s.Client:
		return hub.ErrBadRequest.With("client and session differ").WithHelp("the session of a client is its id: leave out one of them")
	}
	return nil
}

// unsubscribe removes clients from a channel, or from every channel where it is "".
func (a *api) unsubscribe(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		someone
		Channel string `json:"channel"`
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	r := hub.UnsubscribeRequest{Client: q.Client}
	if q.Channel != "" {
		ch, err := hub.ParseChannel(p.ID, q.Channel)
		if err != nil {
			return nil, err
		}
		if _, err := p.CategoryOf(ch); err != nil {
			return nil, err
		}
		r.From = hub.Selection{ch.Category: {ch.Name}}
	}
	return empty{}, a.Hub.UnsubscribeUser(ctx, p, q.User, r)
}

// disconnection is what a client is told when it is disconnected. Reconnect is of a time when
// it was no part of the code.
type disconnection struct {
	Code      uint32  `json:"code"`
	Reason    string  `json:"reason"`
	Reconnect ignored `json:"reconnect"`
}

// The codes of disconnections. Others cannot be sent.
const minDisconnectCode, maxDisconnectCode = 3000, 4999

// disconnect closes the sockets of clients.
func (a *api) disconnect(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		someone
		Whitelist  []string       `json:"whitelist"`
		Disconnect *disconnection `json:"disconnect"`
		// Two fields as gocent 3 writes them.
		ClientWhitelist    []string       `json:"ClientWhitelist"`
		OriginalDisconnect *disconnection `json:"Disconnect"`
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	r := hub.DisconnectRequest{Client: q.Client, Keep: slices.Concat(q.Whitelist, q.ClientWhitelist)}
	if q.Disconnect == nil {
		q.Disconnect = q.OriginalDisconnect
	}
	if d := q.Disconnect; d != nil && *d != (disconnection{}) {
		if d.Code != 0 && (d.Code < minDisconnectCode || d.Code > maxDisconnectCode) {
			return nil, hub.ErrBadRequest.With(fmt.Sprintf("disconnect.code is not from %d to %d", minDisconnectCode, maxDisconnectCode))
		}
		if len(d.Reason) > hub.MaxNameBytes {
			return nil, hub.ErrLimitExceeded.With(fmt.Sprintf("disconnect.reason is longer than %d bytes", hub.MaxNameBytes))
		}
		r.Code, r.Reason = int(d.Code), d.Reason
	}
	return empty{}, a.Hub.DisconnectUser(ctx, p, q.User, r)
}

// subscribe subscribes clients to a channel.
func (a *api) subscribe(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	user, r, err := subscribeRequest(p, body)
	if err != nil {
		return nil, err
	}
	return empty{}, a.Hub.SubscribeUser(ctx, p, user, r)
}

// subscribeRequest decodes the params of subscribe. It fails with hub.ErrBadRequest or
// hub.ErrLimitExceeded.
func subscribeRequest(p *hub.Project, body []byte) (user string, r hub.SubscribeRequest, err error) {
	var q struct {
		someone
		Channel      string          `json:"channel"`
		Info         json.RawMessage `json:"info"`
		B64Info      string          `json:"b64info"`
		Data         json.RawMessage `json:"data"`
		B64Data      string          `json:"b64data"`
		RecoverSince *position       `json:"recover_since"`
		ExpireAt     int64           `json:"expire_at"`
		Override     json.RawMessage `json:"override"`
		// gocent 3 sends options that Centrifugo has in override since its version 4.
		Presence  ignored `json:"presence"`
		JoinLeave ignored `json:"join_leave"`
		Position  ignored `json:"position"`
		Recover   ignored `json:"recover"`
	}
	if err := decode(body, &q); err != nil {
		return "", r, err
	}
	if err := q.check(); err != nil {
		return "", r, err
	}
	if q.Channel == "" {
		return "", r, hub.ErrBadRequest.With("channel is required")
	}
	r.Client = q.Client
	if r.Channel, err = hub.ParseChannel(p.ID, q.Channel); err != nil {
		return "", r, err
	}
	if r.Info, err = info(q.Info, q.B64Info); err != nil {
		return "", r, err
	}
	if r.Data, err = jsonValue(present(q.Data), "b64data", q.B64Data); err != nil {
		return "", r, err
	}
	if q.RecoverSince != nil {
		r.Since = &hub.Position{Offset: q.RecoverSince.Offset, Epoch: q.RecoverSince.Epoch}
	}
	if r.Expires, err = expiry(q.ExpireAt); err != nil {
		return "", r, err
	}
	if len(q.Override) > 0 && json.Unmarshal(q.Override, &r.Override) != nil {
		return "", r, hub.ErrBadRequest.With(`override is not an object such as {"presence": {"value": true}}`)
	}
	return q.User, r, nil
}

// refresh changes the end of connections.
func (a *api) refresh(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	user, r, err := refreshRequest(body)
	if err != nil {
		return nil, err
	}
	return empty{}, a.Hub.RefreshUser(ctx, p, user, r)
}

// refreshRequest decodes the params of refresh. It fails with hub.ErrBadRequest or
// hub.ErrLimitExceeded.
func refreshRequest(body []byte) (user string, r hub.RefreshRequest, err error) {
	var q struct {
		someone
		Expired  bool            `json:"expired"`
		ExpireAt int64           `json:"expire_at"`
		Info     json.RawMessage `json:"info"`
	}
	if err := decode(body, &q); err != nil {
		return "", r, err
	}
	if err := q.check(); err != nil {
		return "", r, err
	}
	r.Client, r.Expired = q.Client, q.Expired
	if r.Expires, err = expiry(q.ExpireAt); err != nil {
		return "", r, err
	}
	r.Info, err = info(q.Info, "")
	return q.User, r, err
}

// info is what clients see of a subscription or a connection: a JSON value, or the one that is
// encoded in base64. It is nil for null.
func info(value json.RawMessage, encoded string) (json.RawMessage, error) {
	value, err := jsonValue(present(value), "b64info", encoded)
	if err == nil && len(value) > hub.MaxInfoBytes {
		err = hub.ErrLimitExceeded.With(fmt.Sprintf("info is %d bytes, at most %d are allowed", len(value), hub.MaxInfoBytes))
	}
	return value, err
}

// present is a JSON value, nil for null.
func present(value json.RawMessage) json.RawMessage {
	if string(value) == "null" {
		return nil
	}
	return value
}

// expiry is the time of a number of seconds since 1970, the zero time for 0.
func expiry(at int64) (time.Time, error) {
	switch {
	case at == 0:
		return time.Time{}, nil
	case at < 0:
		return time.Time{}, hub.ErrBadRequest.With("expire_at is negative")
	}
	return time.Unix(at, 0), nil
}

// extension answers rpc, with which Centrifugo runs methods of its extensions. There are none.
func (a *api) extension(_ context.Context, _ *hub.Project, body []byte) (any, error) {
	var q struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if q.Method == "" {
		return nil, hub.ErrBadRequest.With("method is required")
	}
	return nil, hub.ErrMethodNotFound.WithHelp("there are no extensions")
}
