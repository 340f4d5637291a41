package centrifugo

import (
	"bytes"
	"encoding/json"
	"fmt"

	"centrifuge/pkg/hub"
)

// Reply answers the command with the same ID. Either Error or one result is not nil.
type Reply struct {
	ID            uint32               `json:"id,omitempty"`
	Error         *Error               `json:"error,omitempty"`
	Connect       *ConnectResult       `json:"connect,omitempty"`
	Subscribe     *SubscribeResult     `json:"subscribe,omitempty"`
	Unsubscribe   *UnsubscribeResult   `json:"unsubscribe,omitempty"`
	Publish       *PublishResult       `json:"publish,omitempty"`
	Presence      *PresenceResult      `json:"presence,omitempty"`
	PresenceStats *PresenceStatsResult `json:"presence_stats,omitempty"`
	History       *HistoryResult       `json:"history,omitempty"`
	Ping          *PingResult          `json:"ping,omitempty"`
	RPC           *RPCResult           `json:"rpc,omitempty"`
	Refresh       *RefreshResult       `json:"refresh,omitempty"`
	SubRefresh    *SubRefreshResult    `json:"sub_refresh,omitempty"`
}

// ConnectResult is the result of a connect.
type ConnectResult struct {
	// Client is the id of the connection. Clients require it.
	Client string `json:"client,omitempty"`
	// Version is that of the server.
	Version string `json:"version,omitempty"`
	// Expires means that the client has to refresh its token within TTL seconds, more than 0.
	Expires bool   `json:"expires,omitempty"`
	TTL     uint32 `json:"ttl,omitempty"`
	// Data is any JSON value of the application, nil for none.
	Data json.RawMessage `json:"data,omitempty"`
	// Subs are the server-side subscriptions, by channel.
	Subs map[string]*SubscribeResult `json:"subs,omitempty"`
	// Ping is the time between two pings of the server in seconds, and Pong whether the client
	// answers them.
	Ping    uint32 `json:"ping,omitempty"`
	Pong    bool   `json:"pong,omitempty"`
	Session string `json:"session,omitempty"`
	Node    string `json:"node,omitempty"`
	// Time is the present time in milliseconds since 1970.
	Time int64 `json:"time,omitempty"`
}

// SubscribeResult is the result of a subscribe.
type SubscribeResult struct {
	// Expires means that the client has to refresh its token within TTL seconds, more than 0.
	Expires     bool   `json:"expires,omitempty"`
	TTL         uint32 `json:"ttl,omitempty"`
	Recoverable bool   `json:"recoverable,omitempty"`
	Epoch       string `json:"epoch,omitempty"`
	// Publications are those after the position of the client, if Recovered, in their order.
	Publications []Publication `json:"publications,omitempty"`
	Recovered    bool          `json:"recovered,omitempty"`
	// Offset is that of the request if Recovered, otherwise the top of the stream: a client
	// goes on from it, and then by the publications.
	Offset     uint64 `json:"offset,omitempty"`
	Positioned bool   `json:"positioned,omitempty"`
	// Data is any JSON value of the application, nil for none.
	Data json.RawMessage `json:"data,omitempty"`
	// WasRecovering means that the client asked for a recovery.
	WasRecovering bool `json:"was_recovering,omitempty"`
}

// UnsubscribeResult is the result of an unsubscribe.
type UnsubscribeResult struct{}

// PublishResult is the result of a publish.
type PublishResult struct{}

// PresenceResult is the result of a presence. PresenceOf makes it.
type PresenceResult struct {
	// Presence are the clients by their ids, never nil: clients require the object.
	Presence map[string]ClientInfo `json:"presence"`
}

// PresenceOf is the result of a presence that found these clients.
func PresenceOf(clients []hub.Client) *PresenceResult {
	r := &PresenceResult{Presence: make(map[string]ClientInfo, len(clients))}
	for _, c := range clients {
		r.Presence[c.Connection] = clientInfo(c)
	}
	return r
}

// PresenceStatsResult is the result of a presence_stats.
type PresenceStatsResult struct {
	NumClients uint32 `json:"num_clients"`
	NumUsers   uint32 `json:"num_users"`
	// Partial is set where the channel has more clients than are counted. Centrifugo has no such
	// member, and SDKs ignore it.
	Partial bool `json:"partial,omitempty"`
}

// HistoryResult is the result of a history. HistoryOf makes it.
type HistoryResult struct {
	// Publications is never nil.
	Publications []Publication `json:"publications"`
	// Epoch and Offset are the top of the stream.
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// HistoryOf is the result of a history that found these publications, and the top of the stream.
func HistoryOf(publications []hub.Message, top hub.Position) *HistoryResult {
	return &HistoryResult{Publications: PublicationsOf(publications), Epoch: top.Epoch, Offset: top.Offset}
}

// PingResult is the result of a ping.
type PingResult struct{}

// RPCResult is the result of an rpc.
type RPCResult struct {
	// Data is any JSON value of the application, nil for none.
	Data json.RawMessage `json:"data,omitempty"`
}

// RefreshResult is the result of a refresh.
type RefreshResult struct {
	// Client is the id of the connection; clients require it if Expires.
	Client  string `json:"client,omitempty"`
	Version string `json:"version,omitempty"`
	// Expires means that the client has to refresh its token again within TTL seconds.
	Expires bool   `json:"expires,omitempty"`
	TTL     uint32 `json:"ttl,omitempty"`
}

// SubRefreshResult is the result of a sub_refresh.
type SubRefreshResult struct {
	// Expires means that the client has to refresh its token again within TTL seconds.
	Expires bool   `json:"expires,omitempty"`
	TTL     uint32 `json:"ttl,omitempty"`
}

// ClientInfo is a client on the wire.
type ClientInfo struct {
	User     string          `json:"user"`
	Client   string          `json:"client"`
	ConnInfo json.RawMessage `json:"conn_info,omitempty"`
	ChanInfo json.RawMessage `json:"chan_info,omitempty"`
}

func clientInfo(c hub.Client) ClientInfo {
	return ClientInfo{User: c.User, Client: c.Connection, ConnInfo: c.Info, ChanInfo: c.ChannelInfo}
}

// Publication is a publication on the wire.
type Publication struct {
	Data json.RawMessage `json:"data,omitempty"`
	// Info is the client that published, nil for an application.
	Info   *ClientInfo       `json:"info,omitempty"`
	Offset uint64            `json:"offset,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	// Epoch is in pushes only: elsewhere it is beside the publications.
	Epoch string `json:"epoch,omitempty"`
}

func publication(m hub.Message) Publication {
	p := Publication{Data: m.Data, Offset: m.Position.Offset, Tags: m.Tags}
	if m.Client.Connection != "" {
		info := clientInfo(m.Client)
		p.Info = &info
	}
	return p
}

// PublicationsOf are messages of a stream as results carry them, in their order; not nil.
func PublicationsOf(messages []hub.Message) []Publication {
	publications := make([]Publication, len(messages))
	for i, m := range messages {
		publications[i] = publication(m)
	}
	return publications
}

// Encode encodes the replies to the commands of a frame, in their order, as Frames does. A reply
// that EncodeReply refuses is replaced by its error.
func Encode(replies []Reply) [][]byte {
	objects := make([][]byte, len(replies))
	for i, r := range replies {
		object, err := EncodeReply(r)
		if err != nil {
			e := ErrorOf(err)
			object, _ = encode(Reply{ID: r.ID, Error: &e}) // a number and a short text always encode
		}
		objects[i] = object
	}
	return Frames(objects)
}

// EncodeReply encodes a reply. It fails with hub.ErrLimitExceeded for one that is larger than
// hub.MaxMessageBytes, which API Gateway does not send, and with hub.ErrInternal for one with data
// that is not JSON.
func EncodeReply(r Reply) ([]byte, error) {
	b, err := encode(r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("encode a reply: %w", err)
	case len(b) > hub.MaxMessageBytes:
		return nil, hub.ErrLimitExceeded.With(fmt.Sprintf("the reply is %d bytes, at most %d are allowed", len(b), hub.MaxMessageBytes))
	}
	return b, nil
}

// Frames joins encoded replies and pushes, in their order, one a line: as many in a frame as fit
// into hub.DefaultMessageBytes, which API Gateway bills as one message. One that is larger is a
// frame of its own.
func Frames(objects [][]byte) (frames [][]byte) {
	for len(objects) > 0 {
		n, size := 1, len(objects[0])
		for n < len(objects) && size+len("\n")+len(objects[n]) <= hub.DefaultMessageBytes {
			size += len("\n") + len(objects[n])
			n++
		}
		frame := objects[0]
		if n > 1 {
			frame = bytes.Join(objects[:n], []byte("\n"))
		}
		frames, objects = append(frames, frame), objects[n:]
	}
	return frames
}

// encode is json.Marshal without escaping <, > and &. Each escape would cost five more
// bytes on the wire, and no frame is inserted into a page unescaped. There is no line feed in what
// it returns.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
