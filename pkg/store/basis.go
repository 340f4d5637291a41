package store

import (
	"strings"

	"centrifuge/pkg/hub"
)

// encodeBasis makes the attribute of a subscription, "" for the zero Basis:
// secret, flags and origin, separated by spaces. Flags are "c" for confirmed, "5" for MD5
// and "l" for listed.
func encodeBasis(b hub.Basis) string {
	if b == (hub.Basis{}) {
		return ""
	}
	flags := ""
	if b.Confirmed {
		flags += "c"
	}
	if b.MD5 {
		flags += "5"
	}
	if b.Listed {
		flags += "l"
	}
	return b.Secret + " " + flags + " " + b.Origin
}

// decodeBasis is the reverse of encodeBasis.
func decodeBasis(s string) hub.Basis {
	secret, rest, _ := strings.Cut(s, " ")
	flags, origin, _ := strings.Cut(rest, " ")
	return hub.Basis{
		Secret: secret, Origin: origin,
		Confirmed: strings.Contains(flags, "c"), MD5: strings.Contains(flags, "5"), Listed: strings.Contains(flags, "l"),
	}
}
