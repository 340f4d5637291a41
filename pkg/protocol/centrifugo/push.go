package centrifugo

import (
	"encoding/json"
	"fmt"

	"centrifuge/pkg/hub"
)

// Ping is the frame of a ping of the server.
const Ping = "{}"

// push is the content of a push. One of the pointers is not nil.
type push struct {
	Channel     string        `json:"channel,omitempty"`
	Pub         *Publication  `json:"pub,omitempty"`
	Join        *announcement `json:"join,omitempty"`
	Leave       *announcement `json:"leave,omitempty"`
	Unsubscribe *end          `json:"unsubscribe,omitempty"`
	Message     *message      `json:"message,omitempty"`
	Subscribe   *Subscribe    `json:"subscribe,omitempty"`
	Disconnect  *end          `json:"disconnect,omitempty"`
	Refresh     *Refresh      `json:"refresh,omitempty"`
}

// announcement is a join or a leave.
type announcement struct {
	Info ClientInfo `json:"info"`
}

// end is why a subscription or a connection ends.
type end struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

type message struct {
	Data json.RawMessage `json:"data,omitempty"`
}

// Subscribe is a subscription that the server added.
type Subscribe struct {
	Recoverable bool   `json:"recoverable,omitempty"`
	Epoch       string `json:"epoch,omitempty"`
	// Offset is the top of the stream.
	Offset     uint64 `json:"offset,omitempty"`
	Positioned bool   `json:"positioned,omitempty"`
	// Data is any JSON value of the application, nil for none.
	Data json.RawMessage `json:"data,omitempty"`
}

// Refresh is a change of the end of a connection by the server.
type Refresh struct {
	// Expires means that the connection ends in TTL seconds.
	Expires bool   `json:"expires,omitempty"`
	TTL     uint32 `json:"ttl,omitempty"`
}

// Pushes encodes messages of one channel, in their order, as Frames does: every client of this
// protocol understands frames that hold several pushes, with batch or without. It fails for data
// that is not JSON. It is a delivery.Encoder.
func Pushes(messages []hub.Message, _ bool) (frames [][]byte, err error) {
	pushes := make([][]byte, len(messages))
	for i, m := range messages {
		if pushes[i], err = Push(m); err != nil {
			return nil, err
		}
	}
	return Frames(pushes), nil
}

// Push encodes a message: a publication, a join or a leave. It fails for data that is not JSON.
func Push(m hub.Message) ([]byte, error) {
	p := push{Channel: m.Channel.String()}
	switch m.Event {
	case hub.Join:
		p.Join = &announcement{clientInfo(m.Client)}
	case hub.Leave:
		p.Leave = &announcement{clientInfo(m.Client)}
	default:
		pub := publication(m)
		pub.Epoch = m.Position.Epoch
		p.Pub = &pub
	}
	return encodePush(p)
}

// PushMessage encodes data, any JSON value, for the connection as a whole. It fails for data that
// is not JSON.
func PushMessage(data json.RawMessage) ([]byte, error) {
	return encodePush(push{Message: &message{data}})
}

// PushSubscribe encodes that the server has subscribed the client to a channel. It fails for data
// that is not JSON.
func PushSubscribe(channel string, s Subscribe) ([]byte, error) {
	return encodePush(push{Channel: channel, Subscribe: &s})
}

// PushUnsubscribe encodes that the server has ended a subscription.
func PushUnsubscribe(channel string, u hub.Unsubscription) []byte {
	return encodeKnown(push{Channel: channel, Unsubscribe: &end{u.Code, u.Reason}})
}

// PushDisconnect encodes that the connection is closed. The client closes it by itself then.
func PushDisconnect(d *hub.Disconnection) []byte {
	return encodeKnown(push{Disconnect: &end{d.Code, d.Reason}})
}

// PushRefresh encodes that the server has changed the end of the connection.
func PushRefresh(r Refresh) []byte { return encodeKnown(push{Refresh: &r}) }

func encodePush(p push) ([]byte, error) {
	b, err := encode(struct {
		Push push `json:"push"`
	}{p})
	if err != nil {
		return nil, fmt.Errorf("encode a push: %w", err)
	}
	return b, nil
}

// encodeKnown encodes a push without data.
func encodeKnown(p push) []byte {
	b, err := encodePush(p)
	if err != nil {
		// Strings, numbers and booleans always encode.
		panic(err)
	}
	return b
}
