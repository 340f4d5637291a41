package auth

import (
	"crypto/sha256"
	"strings"

	"centrifuge/pkg/hub"
)

// maxHeaderBytes bounds the header that carries a signature, which needs 69.
const maxHeaderBytes = 4096

// What may be wrong with the header, in the words of the original. To errors.Is
// both are hub.ErrUnauthorized.
var (
	ErrNoHeader        = &hub.Error{Code: hub.ErrUnauthorized.Code, Message: "no auth header found"}
	ErrMalformedHeader = &hub.Error{Code: hub.ErrUnauthorized.Code, Message: "malformed auth header"}
)

// ParseSignature finds the signature in the value of the header X-Centrifuge-Auth:
// key=value pairs with spaces between them, of which only sign counts. It fails
// with ErrNoHeader for "" and with ErrMalformedHeader, to which a header without
// a sign or with two belongs, too.
func ParseSignature(header string) (string, error) {
	if header == "" {
		return "", ErrNoHeader
	}
	if len(header) > maxHeaderBytes {
		return "", ErrMalformedHeader
	}
	var signature string
	found := 0
	for pair := range strings.FieldsSeq(header) {
		key, value, isPair := strings.Cut(pair, "=")
		if !isPair {
			return "", ErrMalformedHeader
		}
		if key == "sign" {
			signature = value
			found++
		}
	}
	if found != 1 {
		return "", ErrMalformedHeader
	}
	return signature, nil
}

// VerifyRequest checks that body, exactly as it was sent, was signed with the
// project's secret: signature is the lower-case hexadecimal HMAC of project id ‖
// body, SHA-256 or, where p allows it, MD5. It fails with hub.ErrUnauthorized.
func VerifyRequest(p *hub.Project, signature string, body []byte) error {
	message := p.ID + string(body)
	if !matches(p, signature, message) || isTokenMessage(p, message) {
		return hub.ErrUnauthorized
	}
	return nil
}

// SignRequest makes the value of the header for a body: HMAC-SHA256.
func SignRequest(secret, project string, body []byte) string {
	return "sign=" + digest(sha256.New, secret, project+string(body))
}
