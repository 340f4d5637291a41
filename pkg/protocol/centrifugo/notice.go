package centrifugo

import (
	"fmt"
	"time"

	"centrifuge/pkg/hub"
)

// Notice encodes what the service tells one client. It is a delivery.NoticeEncoder. It fails for
// data that is not JSON, and for a kind that it does not know.
func Notice(n hub.Notice) ([]byte, error) {
	switch n.Kind {
	case hub.Unsubscribed:
		return PushUnsubscribe(n.Channel.String(), hub.Unsubscription{Code: n.Code, Reason: n.Reason}), nil
	case hub.Disconnected:
		return PushDisconnect(&hub.Disconnection{Code: n.Code, Reason: n.Reason}), nil
	case hub.SubscribedTo:
		s := Subscribe{Recoverable: n.Recoverable, Positioned: n.Recoverable, Data: n.Data}
		if n.Recoverable {
			s.Epoch, s.Offset = n.Position.Epoch, n.Position.Offset
		}
		return PushSubscribe(n.Channel.String(), s)
	case hub.Sent:
		return PushMessage(n.Data)
	case hub.Pinged:
		return []byte("{}"), nil
	case hub.Refreshed:
		if n.Expires.IsZero() {
			return PushRefresh(Refresh{}), nil
		}
		left := max(time.Until(n.Expires)/time.Second, 1)
		return PushRefresh(Refresh{Expires: true, TTL: uint32(left)}), nil //nolint:gosec // the life of a token
	}
	return nil, fmt.Errorf("no push for a notice %q", n.Kind)
}
