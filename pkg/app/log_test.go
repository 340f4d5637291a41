package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLogValues logs values of every kind, and such as others choose.
func TestLogValues(t *testing.T) {
	long := strings.Repeat("é", 5000)
	names := []string{long, long}
	for _, tt := range []struct {
		name  string
		value any
		want  any
	}{
		{"a short text", "https://example.com", "https://example.com"},
		{"an empty text", "", ""},
		{"a text of the limit", strings.Repeat("x", 512), strings.Repeat("x", 512)},
		{"a longer text", strings.Repeat("x", 513), strings.Repeat("x", 512) + "…"},
		{"a text that is cut in a character", "x" + long, "x" + strings.Repeat("é", 255) + "…"},
		{"control characters", "a\x1b[2J\r\nb\x7f\u009b", `a\x1b[2J\r\nb\x7f\u009b`},
		{"characters that reverse the text", "a\u202eb\u2066\u200f", `a\u202eb\u2066\u200f`},
		{"quotes and backslashes", `a"b\n`, `a"b\n`},
		{"bytes that are not UTF-8", "a\xffb", `a\ufffdb`},
		{"a long text of bytes that are not UTF-8", strings.Repeat("\x80", 600), strings.Repeat(`\ufffd`, 508) + "…"},
		{"an error", errors.New("x\x00"), `x\x00`},
		{"a long error", errors.New(long), strings.Repeat("é", 256) + "…"},
		{"a duration", time.Second, 1e9},
		{"a number", 7, 7.0},
		{"a truth", true, true},
		{"a list", []string{"a"}, []any{"a"}},
		{"a long list", names, `["` + strings.Repeat("é", 255) + "…"},
		{"what JSON cannot hold", make(chan int), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			NewLog(&b, slog.LevelInfo).Info("m", "value", tt.value)
			var line map[string]any
			if err := json.Unmarshal(b.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, line["value"]); diff != "" || line["msg"] != "m" || line["level"] != "INFO" {
				t.Errorf("%s-expected +logged:\n%s", b.Bytes(), diff)
			}
			if _, err := time.Parse(time.RFC3339Nano, line["time"].(string)); err != nil {
				t.Error(err)
			}
		})
	}
}
