package stack

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestOutcome(t *testing.T) {
	for _, tt := range []struct{ name, reply, want string }{
		{"success", `{"ack":true,"id":"1","method":"auth","result":true,"error":null}`, `{}`},
		{"error", `{"result":null,"error":"invalid token","code":1,"detail":"make it so"}`, `{"error":"invalid token","detail":"make it so"}`},
		{"refused channels", `{"error":null,"refused":{"chat":["a"]}}`, `{"refused":{"chat":["a"]}}`},
		{
			"refused channels with reasons",
			`{"error":null,"refused":{"chat":["a"]},"reasons":{"chat":{"a":{"code":3,"error":"not granted","detail":"ask for it"}}}}`,
			`{"refused":{"chat":["a"]},"reasons":{"chat":{"a":"not granted"}}}`,
		},
		{"text", `no JSON`, `{}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response, err := json.Marshal(map[string]any{"statusCode": 200, "body": tt.reply})
			if err != nil {
				t.Fatal(err)
			}
			var line strings.Builder
			h := slog.NewJSONHandler(&line, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey {
					return slog.Attr{}
				}
				return a
			}})
			slog.New(h).LogAttrs(t.Context(), slog.LevelInfo, "", outcome(response)...)
			if got := strings.TrimSpace(line.String()); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
