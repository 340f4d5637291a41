package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestWebhook(t *testing.T) {
	// The hexadecimal HMAC-SHA256 of "1795338907.", the body and a line feed under "secret".
	const (
		body      = `{"category":"orders","channel":"new","data":"hooked"}`
		signature = "sha256=5bbc52e34bae6a43df5a8e28862e913ff73fa4354e599a3eb2126f1f07e3ce13"
	)
	for _, tt := range []struct {
		name, body, signature, fails string
	}{
		{"signed with the secret of the project", body, signature, ""},
		{"signed otherwise", body, "sha256=" + strings.Repeat("0", 64), "is signed"},
		{"changed on the way", strings.ReplaceAll(body, "hooked", "hacked"), signature, "is signed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, posted, stop, err := listen(t.Context())
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
