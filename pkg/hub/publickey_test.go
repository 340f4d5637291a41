package hub

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

// Public keys of openssl.
const (
	rsaKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuoJvS8z4OC8o7odzl6a9
hF3C8NAe34GwvdVpZ74H2d/uocVPVlBBol8FskRwOK9vW7hIky9hNcWzwsP0O0Om
4hoDNqabePjS1qu0qzPp0pKRk+m3sG7vPA+m3PkgoBXJKLaryOwy4MyohYjUHQKT
KTV/3NOn/rvHWZfhQbRLWMcPBNzOR7sfSjZDnUIOGX+JYBl/uAglny+m5LkxXWzF
OCgj7Avfo3eavv+siIvX/0muFsGfyK5l8djgjFC+jXPn2n31ltQPW5TZV7MOS1MA
k0PdwteoBtXIEJ2SEATlgUQm+YM+WNBuhCBoyQewJD/970rIjXu17O4Y5dMZMP0h
mQIDAQAB
-----END PUBLIC KEY-----`
	ecdsaKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtf10AXpKXmtF7ypMgXP0LqAJlxgQ
ukzG7IkwccKN2P7AiHcIShsTzdq9l5gnsNWtvx1dMoeXC4Qa7F3sudWBaw==
-----END PUBLIC KEY-----`
)

func encodePEM(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParsePublicKey(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der224, err224 := x509.MarshalPKIXPublicKey(&p224.PublicKey)
	der521, err521 := x509.MarshalPKIXPublicKey(&p521.PublicKey)
	private, errPrivate := x509.MarshalECPrivateKey(p521)
	key, err := ParsePublicKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(key.(*rsa.PublicKey))
	for _, test := range []struct{ name, text, want string }{
		{"RSA", rsaKey, ""},
		{"RSA, PKCS 1", encodePEM(t, "RSA PUBLIC KEY", pkcs1, nil), ""},
		{"ECDSA", ecdsaKey, ""},
		{"ECDSA P-521, with spaces around it", "\n\n" + encodePEM(t, "PUBLIC KEY", der521, err521) + "\r\n", ""},
		{"lines that end with CR LF", strings.ReplaceAll(ecdsaKey, "\n", "\r\n"), ""},
		{"ECDSA P-224", encodePEM(t, "PUBLIC KEY", der224, err224), "is an ECDSA key of the curve P-224: use P-256, P-384 or P-521"},
		{"RSA of 1024 bits", rsa1024Key, "is an RSA key of 1024 bits: it must have 2048 to 8192"},
		{"Ed25519", ed25519Key, "is neither an RSA nor an ECDSA key"},
		{"a private key", encodePEM(t, "EC PRIVATE KEY", private, errPrivate), `is in PEM but no public key: it says "EC PRIVATE KEY"`},
		{"two keys", rsaKey + "\n" + ecdsaKey, "is not one public key in PEM"},
		{"a secret", "994021f2dc354d7893d88b90d430498e", "is not one public key in PEM"},
		{"nothing", "", "is not one public key in PEM"},
		{"a block that is no key", encodePEM(t, "PUBLIC KEY", []byte("x"), nil), "is in PEM but no public key that can be read"},
		{"a long text", strings.Repeat("x", 4097), "is longer than 4096 bytes"},
	} {
		got := ""
		if _, err := ParsePublicKey(test.text); err != nil {
			if !errors.Is(err, ErrBadRequest) {
				t.Errorf("%s: error %v, expected %v", test.name, err, ErrBadRequest)
			}
			got = Public(err).Detail
		}
		if got != test.want {
			t.Errorf("%s: error %q, expected %q", test.name, got, test.want)
		}
	}
}

const (
	rsa1024Key = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCoEdWxMps/fg/GR/Q5RMImlHNc
td5QMEEOIV5f+xRtM9MR0hSAl8Mb+SxD3CfTl2ywnpuktkmHLxCmoylCcA1MWOAi
cZ8KvAmM7zL8vUw82NjNCgoVRJZ53WHaHSbhVHI7GVTIzdLKmRLr5S+He7waXSZm
4eATkcFI3EivLImeFQIDAQAB
-----END PUBLIC KEY-----`
	ed25519Key = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAq1v/7ypbI1uwwSszxdXb2vrki71hMmXyzTK9Y++BzYo=
-----END PUBLIC KEY-----`
)
