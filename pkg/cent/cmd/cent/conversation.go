package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// websocket checks that the WebSocket API accepts a connection. It is another host than
// the address, so it is checked whatever answers there.
func (e *examination) websocket(ctx context.Context) {
	const name = "websocket"
	if e.WebSocket == "" && e.Secret == "" {
		e.skip(name, "no WebSocket for this address", "set --websocket, CENT_WEBSOCKET or websocket in the file")
		return
	}
	token := ""
	if e.needSecret() == nil {
		var err error
		// A token with permissions is not checked with the validate_url of the project.
		if token, err = e.jwt(struct{}{}); err != nil {
			e.fail(exitRefused, name, err.Error(), "")
			return
		}
	}
	_, err := e.webSocketURL()
	if err == nil {
		e.listener, err = e.classic("", token, nil)
	}
	if err != nil {
		detail, cure := parts(err)
		e.fail(exitRefused, name, detail, cure)
		return
	}
	conn, err := e.listener.dial(ctx)
	switch {
	case err == nil:
		e.conn = conn
		e.ok(name, shownAddress(e.WebSocket))
	case errors.As(err, new(refused)):
		e.fail(exitRefused, name, err.Error(), "set websocket to the whole output WebSocketURL of the deployment, with its path")
	default:
		e.fail(exitUnreachable, name, err.Error(), cmp.Or(cure(ctx, err, e.WebSocket), "set websocket to the output WebSocketURL of the deployment"))
	}
}

// jwt returns a token of the anonymous user for a minute, which depends on the clock.
func (e *examination) jwt(permissions any) (string, error) {
	now := e.now()
	return e.sign(map[string]any{"sub": "", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "permissions": permissions})
}

// token checks that a connection can authenticate.
func (e *examination) token(ctx context.Context) {
	const name = "token"
	if e.conn != nil {
		defer func() { _ = e.conn.CloseNow() }()
	}
	switch {
	case e.needSecret() != nil:
		e.skip(name, noSecret, cureNoSecret)
		return
	case e.conn == nil:
		e.skip(name, "there is no connection", "")
		return
	case e.refused:
		e.skip(name, "the secret or the project is wrong", "")
		return
	}
	reply, err := e.authenticate(ctx)
	switch {
	case err != nil:
		e.fail(exitUnreachable, name, err.Error(), cmp.Or(cure(ctx, err, e.WebSocket), cureFailure))
	case reply.Error != nil:
		e.fail(exitRefused, name, *reply.Error, tokenCure(*reply.Error))
	case !reply.Ack:
		e.fail(exitRefused, name, "API Gateway: "+reply.Message, cureFailure)
	default:
		_ = e.conn.Close(websocket.StatusNormalClosure, "")
		e.accepted = true
		e.ok(name, "accepted for the anonymous user")
	}
}

// authenticate sends the token and returns the reply.
func (e *examination) authenticate(ctx context.Context) (frame, error) {
	if err := e.listener.send(ctx, e.conn, e.listener.auth); err != nil {
		return frame{}, err
	}
	frames, err := e.listener.read(ctx, e.conn, false)
	if err != nil {
		return frame{}, err
	}
	return frames[0], nil
}

// tokenCure says what to do about an error of auth.
func tokenCure(message string) string {
	switch {
	case strings.Contains(message, "token_audience"), strings.Contains(message, "token_issuer"):
		return "set token_audience and token_issuer to the options of the project"
	case strings.HasPrefix(message, hub.ErrTokenExpired.Message), strings.Contains(message, "iat"):
		return "set the clock of this machine, for example with timedatectl set-ntp true"
	case strings.HasPrefix(message, hub.ErrInvalidToken.Message):
		return cureSecret
	case strings.HasPrefix(message, hub.ErrProjectNotFound.Message):
		return "set project_id to the id of a project of the installation that websocket belongs to"
	}
	return cureFailure
}

// centrifugo checks that a connection can be made in Centrifugo's protocol.
func (e *examination) centrifugo(ctx context.Context) {
	const name = "centrifugo"
	if !e.accepted {
		e.skip(name, "no token was accepted", "")
		return
	}
	if e.accepted = e.converse(ctx, name, nil, struct{}{}, arrival{}); e.accepted {
		e.ok(name, "a client of Centrifugo's protocol is connected")
	}
}

// delivery checks that a message arrives.
func (e *examination) delivery(ctx context.Context) {
	const name = "delivery"
	switch {
	case e.channel == "":
		e.skip(name, "no channel", "name a channel, to which cent publishes a message: cent doctor CHANNEL")
		return
	case e.APIKey == "":
		detail, cure := parts(errNoAPIKey)
		e.skip(name, detail, cure)
		return
	case !e.accepted:
		e.skip(name, "an earlier check failed", "")
		return
	}
	client, err := e.client()
	if err != nil {
		e.fail(exitRefused, name, err.Error(), "")
		return
	}
	ch, err := hub.ParseChannel(e.Project, e.channel)
	if err != nil {
		e.fail(exitRefused, name, e.channel+": "+err.Error(), "correct the name of the channel")
		return
	}
	data := fmt.Sprintf(`{"doctor":%q}`, rand.Text())
	publish := func() error {
		_, err := client.Publish(ctx, e.channel, json.RawMessage(data), cent.PublishOptions{})
		return err
	}
	if e.converse(ctx, name, []string{e.channel}, hub.Selection{ch.Category: {ch.Name}}, arrival{publish: publish, data: data}) {
		e.ok(name, "a message was published to "+e.channel+" and arrived")
	}
}

// converse opens a connection in Centrifugo's protocol until r is done. It records a failure, and
// reports whether there was none.
func (e *examination) converse(ctx context.Context, name string, channels []string, permissions any, r arrival) bool {
	token, err := e.jwt(permissions)
	if err != nil {
		e.fail(exitRefused, name, err.Error(), "")
		return false
	}
	l, err := e.session.listener(listenerOptions{token: token, channels: channels, attempts: 1}, r)
	if err != nil {
		detail, cure := parts(err)
		e.fail(exitRefused, name, detail, cure)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	_, err = l.listen(ctx)
	switch {
	case err == nil:
		return true
	case isRefusal(err):
		e.fail(exitRefused, name, err.Error(), "do what the reason says; pkg/hub/README.md#errors explains the codes")
	case errors.Is(err, context.DeadlineExceeded):
		e.fail(exitRefused, name, fmt.Sprintf("nothing arrived within %v", e.Timeout), cureFailure)
	default:
		e.fail(exitUnreachable, name, err.Error(), cmp.Or(cure(ctx, err, e.WebSocket), cureFailure))
	}
	return false
}

// arrival is a receiver that publishes a message and is done when it arrives; without publish
// it is done at once.
type arrival struct {
	publish func() error
	data    string
}

func (a arrival) subscribed(func(context.Context) error) (done bool, err error) {
	if a.publish == nil {
		return true, nil
	}
	return false, a.publish()
}

func (a arrival) message(d delivery) (done bool, err error) { return string(d.Data) == a.data, nil }
