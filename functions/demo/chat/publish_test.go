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
		badText = `{"error":"an announcement is 1 to 280 printable characters"}`
		command = `{"method":"broadcast","params":{"category":"news","channel":"announcements","data":{"text":"a"}}}`
	)
	for _, test := range []struct {
		name, body    string
		replyStatus   int
		reply         string
		status        int
		want, command string
	}{
		{"an announcement is broadcast through the server API", `{"text":" a "}`, 200, accepted, 200, `{"announced":true}`, command},
		{"an error in the reply is shown", `{"text":"a"}`, 200, `{"id":null,"error":"category not found","result":null}`, 502,
			`{"error":"Centrifuge refused: category not found"}`, command},
		{"another status is shown", `{"text":"a"}`, 401, `unauthorized`, 502,
			`{"error":"Centrifuge refused: status 401"}`, command},
		{"a reply that is not JSON is a failure", `{"text":"a"}`, 200, `<html>`, 502, unreachable, command},
		{"an empty announcement is refused before Centrifuge is asked", `{"text":" "}`, 200, accepted, 400, badText, ""},
		{"so is one of 281 characters", `{"text":"` + strings.Repeat("a", 281) + `"}`, 200, accepted, 400, badText, ""},
		{"so is what is not JSON", `text`, 200, accepted, 400, badRequest, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &centrifuge{status: test.replyStatus, reply: test.reply}
			answers(t, chat.New(c.start(t)), "POST", "/demo/announce", test.body, test.status, test.want)
			if got := strings.Join(c.commands, "\n"); got != test.command {
				t.Errorf("command:\n%s", cmp.Diff(test.command, got))
			}
		})
	}
}

// The signature of this one request was computed with openssl.
func TestSignature(t *testing.T) {
	const sign = "sign=90f6cdfb1f6d9133656562c948557ef6889b1b9739a3ac14d7e812fe589e855b"
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("X-Centrifuge-Auth")
	}))
	t.Cleanup(s.Close)
	h := chat.New(chat.Options{Project: "demo", Secret: secret("secret"), WebSocketURL: "ws://x", HTTPURL: s.URL,
		Log: slog.New(slog.DiscardHandler)})
	answers(t, h, "POST", "/demo/announce", `{"text":"a"}`, 502, unreachable)
	if got != sign {
		t.Errorf("X-Centrifuge-Auth is %q, want %q", got, sign)
	}
}

func TestUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var log bytes.Buffer
	h := chat.New(chat.Options{Project: "demo", Secret: secret("the-secret"), WebSocketURL: "ws://x", HTTPURL: gone.URL,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	answers(t, h, "POST", "/demo/announce", `{"text":"a"}`, 502, unreachable)
	if !strings.Contains(log.String(), "publish to news:announcements") || strings.Contains(log.String(), "the-secret") {
		t.Errorf("the log says %s", log.String())
	}
}
