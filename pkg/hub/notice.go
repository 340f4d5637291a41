package hub

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// NoticeKind is what a Notice says.
type NoticeKind string

// The kinds of notices.
const (
	// Unsubscribed: the service has ended the subscription to Channel, with Code and Reason.
	// Clients subscribe again after codes from 2500 on.
	Unsubscribed NoticeKind = "unsubscribed"
	// Disconnected: the service ends the connection, with Code and Reason.
	Disconnected NoticeKind = "disconnected"
	// SubscribedTo: the service has subscribed the connection to Channel, at Position where it
	// is Recoverable. Data is for the client.
	SubscribedTo NoticeKind = "subscribed"
	// Sent is Data for the client, in no channel.
	Sent NoticeKind = "sent"
	// Refreshed: the connection ends at Expires now.
	Refreshed NoticeKind = "refreshed"
	// Pinged: nothing. The client answers, so that both know of each other.
	Pinged NoticeKind = "pinged"
)

// Notice is what the service sends to one client about its connection or its subscription. It is
// no message of a channel: nobody else gets it, and it is sent once. Fields that its Kind does
// not name are zero.
type Notice struct {
	Connection string
	Protocol   Protocol
	Kind       NoticeKind
	Channel    Channel `json:",omitzero"`
	Code       int     `json:",omitempty"`
	// Reason is for people: at most 32 ASCII characters.
	Reason      string          `json:",omitempty"`
	Data        json.RawMessage `json:",omitempty"`
	Recoverable bool            `json:",omitempty"`
	Position    Position        `json:",omitzero"`
	// Expires is zero for never.
	Expires time.Time `json:",omitzero"`
}

// notice is the notice for a client whose subscription to a channel has ended.
func (u Unsubscription) notice(connection string, p Protocol, ch Channel) Notice {
	return Notice{Connection: connection, Protocol: p, Kind: Unsubscribed, Channel: ch, Code: u.Code, Reason: u.Reason}
}

// inform sends notices, and closes the connections that may not have got theirs, and the unnotified,
// which can get none: their clients connect again. It fails where some may be open after that, and
// returns them.
func (h *Hub) inform(ctx context.Context, notices []Notice, unnotified []string) (open []string, err error) {
	if len(notices) > 0 {
		missed, err := h.dispatcher.Notify(ctx, notices)
		if err != nil {
			h.log.WarnContext(ctx, "notices failed, and the connections are closed", "connections", len(missed), "error", err)
		}
		unnotified = slices.Concat(unnotified, missed)
	}
	if len(unnotified) == 0 {
		return nil, nil
	}
	return h.dispatcher.Disconnect(ctx, unnotified)
}
