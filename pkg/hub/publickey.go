package hub

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// The limits on public keys: shorter RSA keys can be broken, and longer ones take long to verify.
const (
	minRSABits = 2048
	maxRSABits = 8192
	// maxPublicKeyBytes limits a key in PEM. One of maxRSABits has 1500 bytes.
	maxPublicKeyBytes = 4 << 10
)

// ParsePublicKey reads a public key in PEM: of the type "PUBLIC KEY", or for RSA also "RSA
// PUBLIC KEY". The key is an *rsa.PublicKey of 2048 to 8192 bits or an *ecdsa.PublicKey of the
// curves P-256, P-384 and P-521. It fails with ErrBadRequest; the detail is a part of a sentence
// about the key.
func ParsePublicKey(text string) (crypto.PublicKey, error) {
	if len(text) > maxPublicKeyBytes {
		return nil, ErrBadRequest.With(fmt.Sprintf("is longer than %d bytes", maxPublicKeyBytes))
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, ErrBadRequest.With("is not one public key in PEM")
	}
	var key crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return nil, ErrBadRequest.With(fmt.Sprintf("is in PEM but no public key: it says %.32q", block.Type))
	}
	if err != nil {
		return nil, ErrBadRequest.With("is in PEM but no public key that can be read")
	}
	return key, CheckPublicKey(key)
}

// CheckPublicKey refuses a key that ParsePublicKey does not return.
func CheckPublicKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return ErrBadRequest.With(fmt.Sprintf("is an RSA key of %d bits: it must have %d to %d", bits, minRSABits, maxRSABits))
		}
		if key.E < 3 || key.E%2 == 0 {
			return ErrBadRequest.With("is an RSA key with an invalid exponent")
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			return ErrBadRequest.With("is an ECDSA key of the curve P-224: use P-256, P-384 or P-521")
		}
		return nil
	}
	return ErrBadRequest.With("is neither an RSA nor an ECDSA key")
}
