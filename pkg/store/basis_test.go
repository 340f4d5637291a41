package store

import (
	"testing"

	"centrifuge/pkg/hub"
)

func TestBasisEncoding(t *testing.T) {
	for _, tt := range []struct {
		text  string
		basis hub.Basis
	}{
		{"", hub.Basis{}},
		{"0a  ", hub.Basis{Secret: "0a"}},
		{"0a c https://a", hub.Basis{Secret: "0a", Confirmed: true, Origin: "https://a"}},
		{"0a 5 ", hub.Basis{Secret: "0a", MD5: true}},
		{"0a l ", hub.Basis{Secret: "0a", Listed: true}},
		{"0a c5l https://c5l", hub.Basis{Secret: "0a", Confirmed: true, MD5: true, Listed: true, Origin: "https://c5l"}},
	} {
		if got := encodeBasis(tt.basis); got != tt.text {
			t.Errorf("%+v is written %q, want %q", tt.basis, got, tt.text)
		}
		if got := decodeBasis(tt.text); got != tt.basis {
			t.Errorf("%q is read as %+v, want %+v", tt.text, got, tt.basis)
		}
	}
}
