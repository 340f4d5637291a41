package chat_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

func TestAnnounce(t *testing.T) {
	const (
		invalidText = `{"error":"invalid announcement: write 1 to 280 printable characters"}`
		command     = `{"method":"broadcast","params":{"category":"news","channel":"announcements","data":{"text":"a"}}}`
	)
	for _, test := range []struct {
		name, body    string
		replyStatus   int
		reply         string
		status        int
		want, command string
	}{
		{"an announcement is broadcast through the server API", `{"text":" a "}`, 200, accepted, 200, `{"announced":true}`, command},
		{"an error in the reply", `{"text":"a"}`, 200, `{"id":null,"error":"category not found","result":null}`, 502,
			`{"error":"Centrifuge refused the message: category not found"}`, command},
		{"a reply with status 401", `{"text":"a"}`, 401, `unauthorized`, 502,
			`{"error":"Centrifuge refused the message: status 401"}`, command},
		{"a reply that is not JSON", `{"text":"a"}`, 200, `<html>`, 502, noAnswer, command},
		{"an empty announcement is refused", `{"text":" "}`, 200, accepted, 400, invalidText, ""},
		{"an announcement of 281 characters is refused", `{"text":"` + strings.Repeat("a", 281) + `"}`, 200, accepted, 400, invalidText, ""},
		{"invalid JSON is refused", `text`, 200, accepted, 400, invalidRequest, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &centrifuge{status: test.replyStatus, reply: test.reply}
			expect(t, chat.New(c.start(t)), "POST", "/demo/announce", test.body, test.status, test.want)
			if got := strings.Join(c.commands, "\n"); got != test.command {
				t.Errorf("command:\n%s", cmp.Diff(test.command, got))
			}
		})
	}
}

// TestSignature compares with a signature that openssl computed.
func TestSignature(t *testing.T) {
	const sign = "sign=90f6cdfb1f6d9133656562c948557ef6889b1b9739a3ac14d7e812fe589e855b"
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("X-Centrifuge-Auth")
	}))
	t.Cleanup(s.Close)
	h := chat.New(chat.Options{Project: "demo", Secret: secret("secret"), WebSocketURL: "ws://x", HTTPURL: s.URL,
		Log: slog.New(slog.DiscardHandler)})
	expect(t, h, "POST", "/demo/announce", `{"text":"a"}`, 502, noAnswer)
	if got != sign {
		t.Errorf("X-Centrifuge-Auth is %q, want %q", got, sign)
	}
}

func TestPublishWithoutAnswer(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	var log bytes.Buffer
	h := chat.New(chat.Options{Project: "demo", Secret: secret("the-secret"), WebSocketURL: "ws://x", HTTPURL: closed.URL,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	expect(t, h, "POST", "/demo/announce", `{"text":"a"}`, 502, noAnswer)
	if !strings.Contains(log.String(), "publish to news:announcements") || strings.Contains(log.String(), "the-secret") {
		t.Errorf("log:\n%s", log.String())
	}
}
