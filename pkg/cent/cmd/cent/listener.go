package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// listener connects, subscribes and passes messages to its receiver.
type listener interface {
	// listen calls the receiver until the receiver is done. It reports whether it has
	// subscribed. It fails if the connection ends earlier, or for good where it connects
	// again by itself: with refused, or with another error, after which the caller may
	// call it again.
	listen(ctx context.Context) (subscribed bool, err error)
}

// receiver handles what a listener receives. The listener calls it on one goroutine at a
// time, and ends if done is true or if it fails.
type receiver interface {
	// subscribed is called when the connection has subscribed to its channels. settle makes
	// the listener end when it has received what was sent to it before; it is called on
	// another goroutine.
	subscribed(settle func(ctx context.Context) error) (done bool, err error)
	// message handles a message.
	message(d delivery) (done bool, err error)
}

// delivery is a received message.
type delivery struct {
	Channel string `json:"channel"`
	// EventID is "" in Centrifugo's protocol.
	EventID string          `json:"event_id,omitempty"`
	Data    json.RawMessage `json:"data"`
	// Offset and Epoch are its position in a stream.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
}

// listenerOptions are the parameters of a listener.
type listenerOptions struct {
	user string
	// token is of the user; "" for one that is made with the secret.
	token    string
	channels []string
	classic  bool
	// attempts is how many connections may fail before the first success.
	attempts int
	// again makes a listener of Centrifugo's protocol connect again, and print notes.
	again bool
}

// webSocketURL checks the address of the WebSocket.
func (s *session) webSocketURL() (*url.URL, error) {
	if s.WebSocket == "" {
		return nil, misuse("no WebSocket for this address: set --websocket, CENT_WEBSOCKET or websocket in the file")
	}
	address, err := url.Parse(s.WebSocket)
	if err != nil || address.Scheme != "ws" && address.Scheme != "wss" || address.Host == "" || address.User != nil {
		return nil, misuse("the WebSocket is not a ws or wss address: set the output WebSocketURL of the deployment")
	}
	return address, nil
}

// listener returns a listener. It checks the settings, the token and the channels.
func (s *session) listener(o listenerOptions, r receiver) (listener, error) {
	address, err := s.webSocketURL()
	if err != nil {
		return nil, err
	}
	to := make(hub.Selection)
	for _, name := range o.channels {
		ch, err := hub.ParseChannel(s.Project, name)
		if err != nil {
			return nil, misuse("%s: %w", name, err)
		}
		to[ch.Category] = append(to[ch.Category], ch.Name)
	}
	if o.classic {
		token := o.token
		if token == "" {
			token = auth.SignToken(s.Secret, o.user, s.Project)
		}
		l, err := s.classic(o.user, token, to)
		if err != nil {
			return nil, err
		}
		l.receiver = r
		return l, nil
	}
	if o.token == "" {
		// It does not depend on the clock, and is for this connection alone.
		if o.token, err = s.sign(map[string]any{"sub": o.user, "permissions": to}); err != nil {
			return nil, err
		}
	}
	if !strings.Contains(o.token, ".") {
		return nil, misuse("the token is a classic one: add --classic, or make a JWT with cent token USER --jwt")
	}
	return s.centrifugo(o, address, r), nil
}

// dialer opens connections.
type dialer struct {
	websocket string
	timeout   time.Duration // of a handshake and of sending a frame
}

// dial opens a connection. It fails with refused if the server refuses the handshake.
func (d dialer) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	conn, res, err := websocket.Dial(ctx, d.websocket, &websocket.DialOptions{HTTPClient: client})
	if err == nil {
		return conn, nil
	}
	if res != nil {
		if res.Body != nil {
			res.Body.Close()
		}
		if res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized {
			return nil, refused{fmt.Sprintf("the WebSocket handshake, with status %d", res.StatusCode)}
		}
	}
	return nil, fmt.Errorf("connect: %w", err)
}
