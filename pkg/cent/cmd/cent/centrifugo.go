package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// centrifugo is a listener that speaks Centrifugo's protocol, with its Go SDK.
type centrifugo struct {
	dialer
	*session
	listenerOptions
	receiver receiver
	// keepAlive is the interval of commands that keep the connection open.
	keepAlive time.Duration
}

// centrifugo returns a listener. address is that of the WebSocket.
func (s *session) centrifugo(o listenerOptions, address *url.URL, r receiver) *centrifugo {
	query := address.Query()
	query.Set("project", s.Project)
	address.RawQuery = query.Encode()
	return &centrifugo{
		dialer:  dialer{strings.ReplaceAll(address.String(), ",", "%2C"), s.Timeout}, // the SDK takes a list
		session: s, listenerOptions: o, receiver: r, keepAlive: keepAlive,
	}
}

// attendance is one run of a centrifugo. The SDK calls its handlers on one goroutine, and waits for
// each of them, so they call no method of the SDK.
type attendance struct {
	*centrifugo
	ctx context.Context
	// waiting are the channels without an outcome of the first subscribe, denied those that
	// were refused.
	waiting []string
	denied  refused
	in      int // how many channels are subscribed
	// epochs are those of the streams.
	epochs     map[string]string
	failures   int
	subscribed bool
	settle     func(context.Context) error
	// ended gets the result, once.
	ended chan error
	over  bool
}

// listen implements listener.
func (l *centrifugo) listen(ctx context.Context) (subscribed bool, err error) {
	client := centrifuge.NewJsonClient(l.websocket, centrifuge.Config{
		Token: l.token, Name: "cent", HandshakeTimeout: l.timeout, WriteTimeout: l.timeout, ReadTimeout: replyTimeout,
		MinReconnectDelay: l.backOff, MaxReconnectDelay: maxBackOff,
	})
	defer client.Close()
	a := &attendance{
		centrifugo: l, ctx: ctx, waiting: slices.Clone(l.channels), epochs: make(map[string]string), ended: make(chan error, 1),
	}
	touch := func(context.Context) error { return nil }
	for i, channel := range l.channels {
		sub, err := client.NewSubscription(channel, centrifuge.SubscriptionConfig{
			Positioned: true, Recoverable: true, MinResubscribeDelay: l.backOff, MaxResubscribeDelay: maxBackOff,
		})
		if err != nil {
			return false, misuse("%s: %w", channel, err)
		}
		if i == 0 {
			touch = func(ctx context.Context) error { return touched(sub.History(ctx)) }
		}
		a.handle(sub)
	}
	settled := make(chan struct{}, 1)
	a.settle = func(ctx context.Context) error {
		// The SDK handles pushes before it reads what follows.
		err := touch(ctx)
		if err == nil {
			settled <- struct{}{}
		}
		return err
	}
	client.OnConnected(a.connected)
	client.OnConnecting(a.connecting)
	client.OnDisconnected(a.disconnected)
	client.OnError(a.failed)
	go func() { _ = client.Connect() }() // OnError gets the error
	for _, sub := range client.Subscriptions() {
		if err := sub.Subscribe(); err != nil {
			return false, fmt.Errorf("subscribe: %w", err)
		}
	}
	ticker := time.NewTicker(l.keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-a.ended:
		case <-settled:
		case <-ticker.C:
			within, cancel := context.WithTimeout(ctx, l.timeout)
			_ = touch(within) // the SDK finds out about a lost connection
			cancel()
			continue
		}
		client.Close() // no handler runs afterwards
		return a.subscribed, err
	}
}

// touched is the outcome of a command that is sent for the reply alone: whether there was one.
func touched(_ centrifuge.HistoryResult, err error) error {
	if errors.As(err, new(*centrifuge.Error)) {
		return nil
	}
	return err
}

// end ends the run with a result.
func (a *attendance) end(err error) {
	if !a.over {
		a.over = true
		a.ended <- err
	}
}

// finish ends the run if the receiver is done, or has failed.
func (a *attendance) finish(done bool, err error) {
	if done || err != nil {
		a.end(err)
	}
}

// note prints a note about a connection that is not the first.
func (a *attendance) note(format string, args ...any) {
	if a.again && !a.over && a.ctx.Err() == nil {
		fmt.Fprintln(a.stderr, "cent: "+printable(fmt.Sprintf(format, args...)))
	}
}

// failure is an error after which the SDK tries again.
func (a *attendance) failure(err error, what string) {
	a.failures++
	if a.over || a.ctx.Err() != nil {
		return
	}
	if errors.As(err, new(refused)) || !a.subscribed && a.failures >= a.attempts {
		a.end(err)
		return
	}
	a.note("%v; %s again", err, what)
}

func (a *attendance) connected(centrifuge.ConnectedEvent) {
	if len(a.channels) == 0 {
		a.begin()
	}
}

// begin calls the receiver when every channel has an outcome.
func (a *attendance) begin() {
	if a.subscribed || len(a.waiting) > 0 {
		return
	}
	if len(a.denied) > 0 {
		slices.Sort(a.denied)
		a.end(a.denied)
		return
	}
	a.subscribed = true
	a.finish(a.receiver.subscribed(a.settle))
}

func (a *attendance) connecting(e centrifuge.ConnectingEvent) {
	switch {
	case e.Code == 0: // the first time
	case !a.again:
		a.end(errors.New("connection lost" + reasonOf(e.Code, e.Reason)))
	default:
		a.failure(errors.New("connection lost"+reasonOf(e.Code, e.Reason)), "connecting")
	}
}

// sdkCodes is the first code of the service. Lower ones are those of the SDK.
const sdkCodes = 100

// reasonOf is a reason, if there is one, with a code of the service.
func reasonOf(code uint32, reason string) string {
	switch {
	case reason == "":
		return ""
	case code < sdkCodes:
		return ": " + reason
	}
	return fmt.Sprintf(": %s (code %d)", reason, code)
}

func (a *attendance) disconnected(e centrifuge.DisconnectedEvent) {
	switch e.Code {
	case 0: // closed by listen
	case 1:
		a.end(refused{"the token has expired: make another one, such as with cent token USER --jwt --ttl 8h"})
	default:
		a.end(refused{explainCode(e.Code, e.Reason)})
	}
}

// failed handles an error of the connection.
func (a *attendance) failed(e centrifuge.ErrorEvent) {
	var dial centrifuge.TransportError
	var reply *centrifuge.Error
	switch {
	case errors.As(e.Error, &dial):
		a.failure(a.dialError(dial), "connecting")
	case errors.As(e.Error, &reply):
		if reply.Temporary {
			a.failure(fmt.Errorf("connect: %s", explainCode(reply.Code, reply.Message)), "connecting")
		}
		// Otherwise disconnected has the reason, or a new token is needed.
	case errors.As(e.Error, new(centrifuge.ConnectError)):
		a.failure(fmt.Errorf("connect: %w", errors.Unwrap(e.Error)), "connecting")
	}
}

// dialError returns why a handshake failed. The error of the SDK is text alone, so that another
// handshake has to tell.
func (a *attendance) dialError(sdk centrifuge.TransportError) error {
	conn, err := a.dial(a.ctx)
	if err == nil {
		_ = conn.CloseNow()
		return fmt.Errorf("connect: %s", strings.TrimPrefix(sdk.Err.Error(), "error dial: "))
	}
	if strings.Contains(err.Error(), "got 404") {
		return fmt.Errorf("%w: there is no project %s, or the path of the WebSocket is wrong: cent doctor says which", err, a.Project)
	}
	return err
}

// handle sets the handlers of a subscription.
func (a *attendance) handle(sub *centrifuge.Subscription) {
	channel := sub.Channel
	sub.OnSubscribing(func(e centrifuge.SubscribingEvent) {
		if e.Code >= sdkCodes { // otherwise the connection is lost
			a.note("%s%s; subscribing again", channel, reasonOf(e.Code, e.Reason))
		}
	})
	sub.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		if e.StreamPosition != nil {
			a.epochs[channel] = e.StreamPosition.Epoch
		}
		a.in++
		if a.subscribed {
			a.note("subscribed to %s again%s", channel, recovery(e))
			return
		}
		a.outcome(channel)
	})
	sub.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) { a.unsubscribed(channel, e) })
	sub.OnError(func(e centrifuge.SubscriptionErrorEvent) {
		var reply *centrifuge.Error
		if errors.As(e.Error, &reply) && reply.Temporary {
			a.failure(fmt.Errorf("%s: %s", channel, explainCode(reply.Code, reply.Message)), "subscribing")
		}
	})
	sub.OnPublication(func(e centrifuge.PublicationEvent) {
		if a.over {
			return
		}
		d := delivery{Channel: channel, Data: e.Data, Offset: e.Offset}
		if d.Offset > 0 {
			d.Epoch = a.epochs[channel]
		}
		a.finish(a.receiver.message(d))
	})
}

// outcome is that of the first subscribe to a channel.
func (a *attendance) outcome(channel string) {
	if i := slices.Index(a.waiting, channel); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		a.begin()
	}
}

// recovery says what became of the messages that were sent without a connection.
func recovery(e centrifuge.SubscribedEvent) string {
	switch {
	case e.Recovered:
		return "; no message is lost"
	case e.WasRecovering:
		return "; messages are lost: the history does not have all of them any more"
	}
	return "; messages that were sent meanwhile are lost"
}

// unsubscribed handles the end of a subscription, or that it was refused.
func (a *attendance) unsubscribed(channel string, e centrifuge.UnsubscribedEvent) {
	if e.Code < sdkCodes { // by listen
		return
	}
	reason := channel + ": " + explainCode(e.Code, e.Reason)
	if slices.Contains(a.waiting, channel) {
		a.denied = append(a.denied, reason)
		a.outcome(channel)
		return
	}
	a.in--
	if a.in > 0 {
		a.note("%s", reason)
		return
	}
	a.end(refused{reason})
}

// cures say what to do about codes of Centrifugo's protocol.
var cures = map[uint32]string{
	100:  "try again, then read the logs of the service",
	102:  "the project has no category of this name: create it, or correct the name",
	103:  "the token does not grant the channel, and the options of its category do not let this user subscribe",
	109:  "make another token, and check the clock of this machine",
	111:  "send less, or wait",
	2000: "the application removed the user from the channel",
	3500: "the project has another secret, or token_audience or token_issuer that the settings do not name: ask cent doctor",
	3501: "the project or the token is not one of this service: ask cent doctor",
	3503: "the application disconnected the user",
	3507: "the project does not list this origin",
}

// explainCode adds to a code and its text what to do.
func explainCode(code uint32, text string) string {
	if cure := cures[code]; cure != "" {
		text += ": " + cure
	}
	return fmt.Sprintf("%s (code %d)", text, code)
}
