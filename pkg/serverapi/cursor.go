package serverapi

import (
	"encoding/base64"

	"centrifuge/pkg/hub"
)

// cursorAfter is the cursor of the page that follows a channel, as hub.Channel.String writes it. It is
// opaque to applications, and no secret: any channel is a valid position.
func cursorAfter(channel string) string { return base64.RawURLEncoding.EncodeToString([]byte(channel)) }

// parseCursor is the reverse of cursorAfter; "" is the beginning of the list. It fails with
// hub.ErrBadRequest for what cursorAfter does not return.
func parseCursor(cursor string) (channel string, err error) {
	if cursor == "" {
		return "", nil
	}
	invalid := hub.ErrBadRequest.With("cursor is not the one of an answer").WithHelp("leave it out to begin again")
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || cursorAfter(string(b)) != cursor {
		return "", invalid
	}
	ch, err := hub.ParseChannel("", string(b))
	if err != nil {
		return "", invalid
	}
	return ch.String(), nil
}
