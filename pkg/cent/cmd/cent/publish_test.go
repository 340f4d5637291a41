package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublishDelivered(t *testing.T) {
	const refusal = `{"error":{"code":102,"message":"category not found"}}`
	for _, tt := range []struct {
		name, response string // of the server
		args           []string
		want           result
	}{
		{"publish", `{"result":{"delivered":3}}`, []string{"publish", "a:b", "1"}, result{0, "delivered: 3\n", ""}},
		{"publish with --json", `{"result":{"delivered":0}}`, []string{"publish", "--json", "a:b", "1"}, result{0, `{"delivered":0}` + "\n", ""}},
		{"publish, older server", `{"result":{}}`, []string{"publish", "a:b", "1"}, result{}},
		{"publish with --json, older server", `{"result":{}}`, []string{"publish", "--json", "a:b", "1"}, result{0, "{}\n", ""}},
		{"broadcast", `{"result":{"responses":[{"result":{"delivered":12}},` + refusal + `]}}`, []string{"broadcast", "-d1", "a:b", "nowhere:x"},
			result{1, "CHANNEL  DELIVERED\na:b      12\n", "cent: refused: nowhere:x: category not found (code 102)\n" + errorReference + "\n"}},
		{"broadcast with --json", `{"result":{"responses":[{"result":{"delivered":12}},` + refusal + `]}}`, []string{"broadcast", "--json", "-d1", "a:b", "nowhere:x"},
			result{1, `[{"channel":"a:b","delivered":12,"error":null},{"channel":"nowhere:x","error":{"code":102,"message":"category not found"}}]` + "\n",
				"cent: refused: nowhere:x: category not found (code 102)\n" + errorReference + "\n"}},
		{"broadcast, older server", `{"result":{"responses":[{"result":{}}]}}`, []string{"broadcast", "-d1", "a:b"}, result{}},
		{"broadcast with --json, older server", `{"result":{"responses":[{"result":{}}]}}`, []string{"broadcast", "--json", "-d1", "a:b"},
			result{0, `[{"channel":"a:b","error":null}]` + "\n", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tt.response) }))
			defer server.Close()
			got := invoke(t, map[string]string{"CENT_ADDRESS": server.URL, "CENT_API_KEY": "k"}, "", tt.args...)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
