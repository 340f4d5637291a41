package sanitizer

import (
	"encoding/json"
	"strings"
	"testing"
)

func BenchmarkClean(b *testing.B) {
	domains := []string{"example.com"}
	for _, c := range []struct{ name, data string }{
		{"text", `{"user":"ann","text":"it's a typical text of a chat, without markup","n":1.5}`},
		{"markup", `{"user":"ann","text":"<p>see <a href=\"https://example.com/x\">there</a> &amp; <b>here</b></p>","n":1.5}`},
		{"32KB", `{"text":"` + strings.Repeat("<p>x <b>y</b> &amp; z</p>", 32<<10/25) + `"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Clean(json.RawMessage(c.data), domains); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
