package admin

import (
	"net/http"
	"testing"
)

func TestAcceptsGzip(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		want   bool
	}{
		{"no header", nil, false},
		{"an empty header", []string{""}, false},
		{"gzip", []string{"gzip"}, true},
		{"a browser", []string{"gzip, deflate, br, zstd"}, true},
		{"capitals", []string{"GZIP"}, true},
		{"two headers", []string{"br", "gzip"}, true},
		{"a weight", []string{"gzip;q=0.5"}, true},
		{"a weight with spaces and a capital", []string{"br , gzip ; Q = 0.001"}, true},
		{"a weight of 0", []string{"gzip;q=0"}, false},
		{"a weight of 0.000", []string{"br, gzip; q=0.000"}, false},
		{"everything", []string{"*"}, true},
		{"everything else", []string{"gzip;q=0, *"}, false},
		{"gzip and nothing else", []string{"*;q=0, gzip"}, true},
		{"nothing", []string{"*;q=0"}, false},
		{"identity", []string{"identity"}, false},
		{"identity rather than gzip", []string{"identity, gzip;q=0.5"}, false},
		{"gzip rather than identity", []string{"identity;q=0.5, gzip"}, true},
		{"not identity", []string{"identity;q=0, gzip"}, true},
		{"a name that contains gzip", []string{"notgzip, x-gzip-2"}, false},
		{"gzip in a parameter", []string{"br;x=gzip"}, false},
		{"a weight that is no number", []string{"gzip;q=high"}, false},
		{"a weight that is not a number", []string{"gzip;q=NaN"}, false},
		{"a weight above 1", []string{"gzip;q=2"}, false},
		{"another parameter", []string{"gzip;level=0"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := acceptsGzip(&http.Request{Header: http.Header{"Accept-Encoding": tt.header}}); got != tt.want {
				t.Errorf("%q: %t", tt.header, got)
			}
		})
	}
}

func TestReadsJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/html,application/xhtml+xml": false, "application/json": true,
		"text/html, application/json; charset=utf-8; q=0.5": true, "application/json;q=0": false, "text/html;x=application/json": false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/admin/new", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		if got := readsJSON(r); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}
