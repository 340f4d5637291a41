package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestWebhookCheck(t *testing.T) {
	// The hexadecimal HMAC-SHA256 of "1795338907.", the body and a line feed with the key "secret".
	const (
		body      = `{"category":"orders","channel":"new","data":"webhook test"}`
		signature = "sha256=15c032e24cca1452996b193efb2b97973fd195948745d45bda647ce2d8e86d2e"
	)
	for _, tt := range []struct {
		name, body, signature, fails string
	}{
		{"a valid signature", body, signature, ""},
		{"another signature", body, "sha256=" + strings.Repeat("0", 64), "signature is"},
		{"a changed body", strings.ReplaceAll(body, "webhook test", "changed"), signature, "signature is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, posted, stop, err := serveWebhook(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Centrifuge-Timestamp", "1795338907")
			r.Header.Set("X-Centrifuge-Signature", tt.signature)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			err = (<-posted).check("secret")
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
