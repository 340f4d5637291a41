package delivery

import (
	"crypto/sha256"
	"encoding/hex"

	"centrifuge/pkg/hub"
)

// Encoder makes the pushes of messages of one channel, in their order, in one protocol. With
// batch a frame may hold several pushes, without it each push is a frame; the frame of a single
// message is the same with and without. It is called once for each dispatch of a single message,
// and twice for others, and may be called concurrently.
type Encoder func(messages []hub.Message, batch bool) (frames [][]byte, err error)

// NoticeEncoder makes the push of a notice in one protocol; nil where the protocol has none for
// it. It may be called concurrently.
type NoticeEncoder func(n hub.Notice) (frame []byte, err error)

// format is what the frames to a subscriber depend on.
type format struct {
	protocol hub.Protocol
	batch    bool
}

// Payload is the body of any number of posts, hashed once for all their
// signatures. It is safe for concurrent use.
type Payload struct {
	body []byte
	hash string
}

// NewPayload makes a payload of body, which is at most hub.MaxMessageBytes long and must
// not change any more.
func NewPayload(body []byte) *Payload {
	sum := sha256.Sum256(body)
	return &Payload{body: body, hash: hex.EncodeToString(sum[:])}
}

// empty is the payload of a request without a body.
var empty = NewPayload(nil)
