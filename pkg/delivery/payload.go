package delivery

import (
	"crypto/sha256"
	"encoding/hex"

	"centrifuge/pkg/hub"
)

// Encoder makes the push of a message in one protocol. It is called once a
// message, whatever the number of subscribers, and may be called concurrently.
type Encoder func(hub.Message) ([]byte, error)

// Payload is the body of any number of posts, hashed once for all their
// signatures. It is safe for concurrent use.
type Payload struct {
	body []byte
	hash string
}

// NewPayload makes a payload of body, which must not change any more and be at
// most hub.MaxMessageBytes long.
func NewPayload(body []byte) *Payload {
	sum := sha256.Sum256(body)
	return &Payload{body: body, hash: hex.EncodeToString(sum[:])}
}

// nothing is the body of a request that has none.
var nothing = NewPayload(nil)
