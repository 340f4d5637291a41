package auth

import (
	"crypto/sha256"
	"strings"

	"centrifuge/pkg/hub"
)

// maxHeaderBytes limits the header X-Centrifuge-Auth. A signature takes 69 bytes.
const maxHeaderBytes = 4096

// The errors of ParseSignature, with the texts of 2013. errors.Is reports both as
// hub.ErrUnauthorized.
var (
	ErrNoHeader        = &hub.Error{Code: hub.ErrUnauthorized.Code, Message: "no auth header found", Help: "send the header X-Centrifuge-Auth: sign=SIGNATURE; an API key is for /api"}
	ErrMalformedHeader = &hub.Error{Code: hub.ErrUnauthorized.Code, Message: "malformed auth header", Help: "the header is X-Centrifuge-Auth: sign=SIGNATURE"}
)

// errWrongSignature has the text of 2013.
var errWrongSignature = hub.ErrUnauthorized.WithHelp("the signature is wrong: it is hex(HMAC-SHA256(secret, project_id + body)), with the secret of the project in the URL and the body as it is sent")

// ParseSignature returns the signature in the value of the header X-Centrifuge-Auth:
// key=value pairs, separated by spaces. The value of the key sign is the signature;
// other keys are ignored. ParseSignature fails with ErrNoHeader for "", and with
// ErrMalformedHeader for a value that is not made of pairs, does not have exactly one
// sign, or is longer than 4096 bytes.
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

// VerifyRequest checks that signature is the lower-case hexadecimal HMAC-SHA256, or
// HMAC-MD5 if p allows it, of project id ‖ body with a secret of p. The body is the
// undecoded one of the request. VerifyRequest fails with hub.ErrUnauthorized, also for
// a body that ends with the project id, which a new project cannot have: see the package
// comment.
func VerifyRequest(p *hub.Project, signature string, body []byte) error {
	message := p.ID + string(body)
	if _, ok := verify(p, signature, message); !ok || endsLikeToken(p, message) {
		return errWrongSignature
	}
	return nil
}

// SignRequest returns the value of the header X-Centrifuge-Auth for a body, signed
// with HMAC-SHA256.
func SignRequest(secret, project string, body []byte) string {
	return "sign=" + sign(sha256.New, secret, project+string(body))
}
