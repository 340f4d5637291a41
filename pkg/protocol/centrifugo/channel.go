package centrifugo

import (
	"fmt"

	"centrifuge/pkg/hub"
)

// ParseChannel reads a channel as clients write it. It has no project. It fails with
// hub.ErrBadRequest for a string that is longer than hub.MaxNameBytes, as in Centrifugo, that has
// other characters than the printable ones of ASCII, or that is not what String of the channel
// returns: pushes carry that string, and a client knows a channel by it alone.
func ParseChannel(s string) (hub.Channel, error) {
	if len(s) > hub.MaxNameBytes {
		return hub.Channel{}, hub.ErrBadRequest.With(fmt.Sprintf("the channel is %d bytes, at most %d are allowed", len(s), hub.MaxNameBytes))
	}
	for _, b := range []byte(s) {
		if b < ' ' || b > '~' {
			return hub.Channel{}, hub.ErrBadRequest.With("the channel has a character that is not a printable one of ASCII")
		}
	}
	ch, err := hub.ParseChannel("", s)
	switch {
	case err != nil:
		return hub.Channel{}, err
	case ch.String() != s:
		return hub.Channel{}, hub.ErrBadRequest.With(fmt.Sprintf("the channel is written %q", ch))
	}
	return ch, nil
}
