package serverapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/serverapi"
)

// exchange is a request and its expected answer.
type exchange struct {
	name string
	// path is the path of the request, operation that of its operation in the document,
	// "" for the same path.
	path, operation string
	// header is "Name: value", "" for the API key.
	header, body string
	// allowed means that the document allows the body.
	allowed bool
	// status is the expected status, 0 for 200.
	status int
	// code is the code of the error, message its prefix in /rpc; 0 and "" are success.
	code    int
	message string
	// holds is a part of the body of the answer.
	holds string
	// broken sends the request to an installation without its table.
	broken bool
	// transport asks for a status for every error.
	transport bool
}

const key = "X-API-Key: demo-key"

// TestConformance sends every kind of request to a whole service. The document must
// describe status, content type and body of every answer, and every described status and
// code must occur.
func TestConformance(t *testing.T) {
	s := serviceWithClients(t)
	broken := httptest.NewServer(serverapi.New(serverapi.Options{
		Projects: noTable{}, Log: slog.New(slog.DiscardHandler),
		APIKeys: noTable{},
	}))
	t.Cleanup(broken.Close)
	// A publish under this key is in progress.
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.App.Store.Claim(t.Context(), p.Locate(hub.Channel{Category: "news", Name: "x"}), "busy", "id", time.Now()); err != nil {
		t.Fatal(err)
	}
	stream, _ := p.Stream(hub.Channel{Category: "log", Name: "behind"})
	for n := range hub.MaxAhead {
		m := hub.Message{ID: hub.NewID(time.Now()), Data: json.RawMessage(`1`)}
		a, err := s.App.Store.Append(t.Context(), stream, m, hub.AppendOptions{})
		if err == nil && n == 0 {
			// It is never dispatched.
			_, err = s.App.Store.Announce(t.Context(), stream, a, hub.Lease{ID: "held", Durable: true, Until: time.Now().Add(time.Hour)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	lenient, strict := published(t), exact(t)
	occurred, codes := map[string]bool{}, map[string]bool{}
	for _, e := range slices.Concat(methodExchanges(), userExchanges(), batchExchanges(), streamExchanges(), transportExchanges(), commonExchanges(), rpcExchanges()) {
		e.operation, e.header, e.status = cmp.Or(e.operation, e.path), cmp.Or(e.header, key), cmp.Or(e.status, http.StatusOK)
		t.Run(e.operation+" "+e.name, func(t *testing.T) {
			at := join("/paths", e.operation, "post")
			if err := lenient.request(at, e.body); (err == nil) != e.allowed {
				t.Errorf("allowed: %t, error of the document: %v", e.allowed, err)
			}
			base := s.HTTPURL
			if e.broken {
				base = broken.URL
			}
			headers := []string{e.header}
			if e.transport {
				headers = append(headers, "X-Centrifugo-Error-Mode: transport")
			}
			status, body := send(t, http.MethodPost, base+e.path, e.body, headers...)
			if described := strict.answer(t, at, status, body, e.transport); !e.transport {
				occurred[described] = true
			}
			if status != e.status {
				t.Errorf("status %d, expected %d: %s", status, e.status, body)
			}
			if !bytes.Contains(body, []byte(e.holds)) {
				t.Errorf("%s lacks %s", body, e.holds)
			}
			code, message := failure(t, body)
			codes[fmt.Sprint(code)] = true
			if code != e.code || (e.message == "") != (message == "") || !strings.HasPrefix(message, e.message) {
				t.Errorf("error %d %q, expected %d %q: %s", code, message, e.code, e.message, body)
			}
		})
	}
	for _, path := range []string{"/healthz", "/api/openapi.json"} {
		t.Run(path, func(t *testing.T) {
			status, body := send(t, http.MethodGet, s.HTTPURL+path, "")
			occurred[strict.answer(t, join("/paths", path, "get"), status, body, false)] = true
		})
	}
	for _, at := range strict.operations() {
		_, responses := strict.object(at + "/responses")
		for status := range responses {
			if status != "default" && !occurred[join(at, "responses", status)] {
				t.Errorf("status %s of %s never occurred", status, at)
			}
		}
	}
	_, described := strict.find("/components/schemas/Error/properties/code/enum")
	for _, code := range described.([]any) {
		if !codes[fmt.Sprint(code)] {
			t.Errorf("error %v never occurred", code)
		}
	}
}

// methodExchanges are the exchanges of single methods.
func methodExchanges() []exchange {
	long, thousand := strings.Repeat("x", 256), strings.TrimSuffix(strings.Repeat(`"news:x",`, 1000), ",")
	return []exchange{
		{name: "an object", path: "/api/publish", body: `{"channel":"news:x","data":{"n":1}}`, allowed: true},
		{name: "null", path: "/api/publish", body: `{"channel":"news:x","data":null}`, allowed: true},
		{name: "empty fields of Centrifugo", path: "/api/publish", body: `{"channel":"news:x","data":1,"b64data":"","skip_history":false,"tags":{},"delta":null,"version":0,"version_epoch":""}`, allowed: true},
		{name: "a delta, which no client can get", path: "/api/publish", body: `{"channel":"news:x","data":1,"delta":true}`, allowed: true},
		{name: "JSON in base64", path: "/api/publish", body: `{"channel":"log:base64","b64data":"eyAibiIgOiAxIH0="}`, allowed: true, holds: `{"result":{"offset":1,`},
		{name: "JSON in base64, with other data", path: "/api/publish", body: `{"channel":"log:base64","data":null,"b64data":"Mg=="}`, allowed: true, holds: `{"result":{"offset":2,`},
		{name: "base64 of what is no JSON", path: "/api/publish", body: `{"channel":"news:x","b64data":"eyJ9"}`, allowed: true, code: 107, holds: `"bad request: b64data does not hold JSON: only JSON can be sent: line 1, column 4: it ends too early`},
		{name: "base64 without padding", path: "/api/publish", body: `{"channel":"news:x","b64data":"MQ"}`, allowed: true, code: 107, holds: `"bad request: b64data is not base64: use the standard alphabet, with padding"`},
		{name: "base64 that is empty", path: "/api/publish", body: `{"channel":"news:x","b64data":""}`, code: 107, holds: `data is required`},
		{name: "tags", path: "/api/publish", body: `{"channel":"news:x","data":1,"tags":{"a":"b"}}`, allowed: true},
		{name: "tags that are no object", path: "/api/publish", body: `{"channel":"news:x","data":1,"tags":["a"]}`, code: 107, holds: `tags is not an object of strings`},
		{name: "a tag that is no string", path: "/api/publish", body: `{"channel":"news:x","data":1,"tags":{"a":1}}`, code: 107, holds: `is not an object of strings`},
		{name: "tags that are too long", path: "/api/publish", body: `{"channel":"news:x","data":1,"tags":{"a":"` + strings.Repeat("x", 1024) + `"}}`, allowed: true, code: 106},
		{name: "skip_history that is no boolean", path: "/api/publish", body: `{"channel":"news:x","data":1,"skip_history":1}`, code: 107, holds: `skip_history is not true or false`},
		{name: "a version without a stream", path: "/api/publish", body: `{"channel":"news:x","data":1,"version":1}`, allowed: true, code: 107},
		{name: "a negative version", path: "/api/publish", body: `{"channel":"log:x","data":1,"version":-1}`, code: 107, holds: `version is not a whole number from 0`},
		{name: "a stream", path: "/api/publish", body: `{"channel":"log:x","data":{"n":1},"tags":{"a":"b"},"idempotency_key":"k"}`, allowed: true, holds: `{"result":{"offset":1,"epoch":"`},
		{name: "a stream, with a repeated idempotency key", path: "/api/publish", body: `{"channel":"log:x","data":{"n":1},"idempotency_key":"k"}`, allowed: true, holds: `{"result":{"offset":1,"epoch":"`},
		{name: "a stream, with a version", path: "/api/publish", body: `{"channel":"log:x","data":2,"version":7,"version_epoch":"v"}`, allowed: true, holds: `{"result":{"offset":2,"epoch":"`},
		{name: "a stream, with a version that is not greater", path: "/api/publish", body: `{"channel":"log:x","data":3,"version":7,"version_epoch":"v"}`, allowed: true, holds: `{"result":{"offset":2,"epoch":"`},
		{name: "a stream, with skip_history", path: "/api/publish", body: `{"channel":"log:x","data":3,"skip_history":true}`, allowed: true, holds: `{"result":{"delivered":0}}`},
		{name: "a stream that is far ahead of its dispatch", path: "/api/publish", body: `{"channel":"log:behind","data":1}`, allowed: true, code: 111},

		{name: "the position", path: "/api/history", body: `{"channel":"log:x"}`, allowed: true, holds: `{"result":{"publications":[],"offset":2,"epoch":"`},
		{name: "what was in base64", path: "/api/history", body: `{"channel":"log:base64","limit":-1}`, allowed: true, holds: `{"result":{"publications":[{"data":{"n":1},"offset":1,`},
		{name: "no stream", path: "/api/history", body: `{"channel":"log:empty","limit":10}`, allowed: true, holds: `{"result":{"publications":[],"offset":0,"epoch":""}}`},
		{name: "all publications", path: "/api/history", body: `{"channel":"log:x","limit":-1}`, allowed: true, holds: `{"result":{"publications":[{"data":{"n":1},"offset":1,"tags":{"a":"b"},"event_id":"`},
		{name: "the newest publication", path: "/api/history", body: `{"channel":"log:x","limit":1,"reverse":true}`, allowed: true, holds: `{"result":{"publications":[{"data":2,"offset":2,"event_id":"`},
		{name: "publications after a position", path: "/api/history", body: `{"channel":"log:x","limit":10,"since":{"offset":1,"epoch":""}}`, allowed: true, holds: `{"result":{"publications":[{"data":2,"offset":2,`},
		{name: "a position of another epoch", path: "/api/history", body: `{"channel":"log:x","limit":10,"since":{"offset":1,"epoch":"another"}}`, allowed: true, code: 112},
		{name: "a position that is no object", path: "/api/history", body: `{"channel":"log:x","since":1}`, code: 107, holds: `since is not an object`},
		{name: "an offset that is no number", path: "/api/history", body: `{"channel":"log:x","since":{"offset":"1","epoch":""}}`, code: 107, holds: `since.offset is not a whole number from 0`},
		{name: "a limit that is no whole number", path: "/api/history", body: `{"channel":"log:x","limit":1.5}`, code: 107},
		{name: "a category without history", path: "/api/history", body: `{"channel":"news:x"}`, allowed: true, code: 108},
		{name: "an unknown category", path: "/api/history", body: `{"channel":"nowhere:x"}`, allowed: true, code: 102},
		{name: "no channel", path: "/api/history", body: `{}`, code: 107},
		{name: "a channel that is too long", path: "/api/history", body: `{"channel":"log:` + long + `"}`, code: 106},
		{name: "a channel", path: "/api/history_remove", body: `{"channel":"log:x"}`, allowed: true, holds: `{"result":{}}`},
		{name: "all publications after their removal", path: "/api/history", body: `{"channel":"log:x","limit":-1}`, allowed: true, holds: `{"result":{"publications":[],"offset":2,"epoch":"`},
		{name: "a category without history", path: "/api/history_remove", body: `{"channel":"news:x"}`, allowed: true, code: 108},
		{name: "an unknown field", path: "/api/publish", body: `{"chanel":"news:x","data":1}`, code: 107, holds: `"bad request: unknown field \"chanel\": did you mean channel?"`},
		{name: "a field in the wrong case", path: "/api/publish", body: `{"Channel":"news:x","data":1}`, code: 107, holds: `did you mean channel?`},
		{name: "a colon in the name", path: "/api/publish", body: `{"channel":"news:x:y\nz","data":1}`, allowed: true},
		{name: "an idempotency key", path: "/api/publish", body: `{"channel":"news:x","data":1,"idempotency_key":"k"}`, allowed: true},
		{name: "a repeated idempotency key", path: "/api/publish", body: `{"channel":"news:x","data":1,"idempotency_key":"k"}`, allowed: true},
		{name: "an idempotency key in use", path: "/api/publish", body: `{"channel":"news:x","data":1,"idempotency_key":"busy"}`, allowed: true, code: 113},
		{name: "an idempotency key that is too long", path: "/api/publish", body: `{"channel":"news:x","data":1,"idempotency_key":"` + long + `"}`, code: 106},
		{name: "an unknown category", path: "/api/publish", body: `{"channel":"nowhere:x","data":1}`, allowed: true, code: 102},
		{name: "no channel", path: "/api/publish", body: `{"data":1}`, code: 107},
		{name: "the category without a name, which does not exist", path: "/api/publish", body: `{"channel":"x","data":1}`, allowed: true, code: 102},
		{name: "a channel without a name", path: "/api/publish", body: `{"channel":"news:","data":1}`, code: 107},
		{name: "a channel that is too long", path: "/api/publish", body: `{"channel":"news:` + long + `","data":1}`, code: 106},
		{name: "a channel that is not a string", path: "/api/publish", body: `{"channel":1,"data":1}`, code: 107},
		{name: "no data", path: "/api/publish", body: `{"channel":"news:x"}`, code: 107},
		{name: "more data than the category allows", path: "/api/publish", body: `{"channel":"news:x","data":"` + strings.Repeat("x", hub.DefaultMessageBytes) + `"}`, allowed: true, code: 413},

		{name: "two channels", path: "/api/broadcast", body: `{"channels":["news:x","chat:x"],"data":1}`, allowed: true},
		{name: "a channel that fails", path: "/api/broadcast", body: `{"channels":["news:x","nowhere:x"],"data":1}`, allowed: true, holds: `[{"result":{"delivered":3}},{"error":{"code":102,`},
		{name: "the category without a name, which does not exist", path: "/api/broadcast", body: `{"channels":["news:x","x"],"data":1}`, allowed: true, holds: `[{"result":{"delivered":3}},{"error":{"code":102,`},
		{name: "no data", path: "/api/broadcast", body: `{"channels":["news:x"]}`, code: 107, holds: `data is required`},
		{name: "JSON in base64", path: "/api/broadcast", body: `{"channels":["news:x"],"b64data":"MQ==","delta":false}`, allowed: true, holds: `[{"result":{"delivered":3}}]`},
		{name: "base64 that is no JSON", path: "/api/broadcast", body: `{"channels":["news:x"],"b64data":"AAE="}`, allowed: true, code: 107, holds: `b64data does not hold JSON`},
		{name: "a stream", path: "/api/broadcast", body: `{"channels":["news:x","log:y"],"data":1}`, allowed: true, holds: `{"result":{"responses":[{"result":{"delivered":3}},{"result":{"offset":1,"epoch":"`},
		{name: "a channel instead of channels", path: "/api/broadcast", body: `{"channel":"news:x","data":1}`, code: 107, holds: `did you mean channels?`},
		{name: "no channels", path: "/api/broadcast", body: `{"data":1}`, code: 107},
		{name: "an empty list", path: "/api/broadcast", body: `{"channels":[],"data":1}`, code: 107},
		{name: "too many channels", path: "/api/broadcast", body: `{"channels":[` + thousand + `,"news:x"],"data":1}`, code: 106},

		{name: "a user in the channel", path: "/api/unsubscribe", body: `{"user":"bob","channel":"news:x"}`, allowed: true},
		{name: "a user who is not in the channel", path: "/api/unsubscribe", body: `{"user":"absent","channel":"news:x"}`, allowed: true},
		{name: "empty fields of Centrifugo", path: "/api/unsubscribe", body: `{"user":"absent","channel":"news:x","client":"","session":""}`, allowed: true},
		{name: "a client that is not connected", path: "/api/unsubscribe", body: `{"user":"bob","channel":"news:x","client":"c"}`, allowed: true},
		{name: "an anonymous client that is not connected", path: "/api/unsubscribe", body: `{"user":"","channel":"news:x","client":"c"}`, allowed: true},
		{name: "a session", path: "/api/unsubscribe", body: `{"user":"bob","channel":"news:x","session":"c"}`, allowed: true},
		{name: "a client and its session", path: "/api/unsubscribe", body: `{"user":"bob","channel":"news:x","client":"c","session":"c"}`, allowed: true},
		{name: "a client and another session", path: "/api/unsubscribe", body: `{"user":"bob","channel":"news:x","client":"c","session":"d"}`, allowed: true, code: 107, holds: `client and session differ`},
		{name: "a client whose id is too long", path: "/api/unsubscribe", body: `{"user":"bob","client":"` + long + `","channel":"news:x"}`, code: 106},
		{name: "no user", path: "/api/unsubscribe", body: `{"channel":"news:x"}`, code: 107},
		{name: "the anonymous user", path: "/api/unsubscribe", body: `{"user":"","channel":"news:x"}`, code: 107},
		{name: "a user whose name is too long", path: "/api/unsubscribe", body: `{"user":"` + strings.Repeat("u", 256) + `","channel":"news:x"}`, code: 106},
		{name: "every channel of a user who is in none", path: "/api/unsubscribe", body: `{"user":"absent"}`, allowed: true},
		{name: "a channel without a category", path: "/api/unsubscribe", body: `{"user":"bob","channel":"x"}`, allowed: true, code: 102},

		{name: "a user who is not connected", path: "/api/disconnect", body: `{"user":"absent"}`, allowed: true},
		{name: "empty fields of Centrifugo", path: "/api/disconnect", body: `{"user":"absent","client":"","session":"","whitelist":[],"disconnect":null}`, allowed: true},
		{name: "what clients are told", path: "/api/disconnect", body: `{"user":"absent","disconnect":{"code":4000,"reason":"bye"}}`, allowed: true},
		{name: "a reason alone", path: "/api/disconnect", body: `{"user":"absent","disconnect":{"reason":"bye"}}`, allowed: true},
		{name: "a code that clients do not know", path: "/api/disconnect", body: `{"user":"absent","disconnect":{"code":1000}}`, code: 107, holds: `disconnect.code is not from 3000 to 4999`},
		{name: "a code that is a string", path: "/api/disconnect", body: `{"user":"absent","disconnect":{"code":"4000"}}`, code: 107, holds: `disconnect.code is not a whole number from 0`},
		{name: "a reason that is too long", path: "/api/disconnect", body: `{"user":"absent","disconnect":{"reason":"` + long + `"}}`, code: 106},
		{name: "a disconnect that is no object", path: "/api/disconnect", body: `{"user":"absent","disconnect":4000}`, code: 107, holds: `disconnect is not an object`},
		{name: "a whitelist that is no array", path: "/api/disconnect", body: `{"user":"absent","whitelist":"c"}`, code: 107, holds: `whitelist is not an array of strings`},
		{name: "the keys of gocent", path: "/api/disconnect", body: `{"user":"absent","Disconnect":null,"ClientWhitelist":null}`, allowed: true},
		{name: "the keys of gocent with values", path: "/api/disconnect", body: `{"user":"absent","Disconnect":{"code":4000,"reason":"","reconnect":true},"ClientWhitelist":["c"]}`, allowed: true},
		{name: "a client that is not connected", path: "/api/disconnect", body: `{"user":"bob","client":"c"}`, allowed: true},
		{name: "a client and another session", path: "/api/disconnect", body: `{"user":"bob","client":"c","session":"d"}`, allowed: true, code: 107},
		{name: "no user", path: "/api/disconnect", body: `{}`, code: 107},
		{name: "a user whose name is too long", path: "/api/disconnect", body: `{"user":"` + strings.Repeat("u", 256) + `"}`, code: 106},
		{name: "a user that is not a string", path: "/api/disconnect", body: `{"user":7}`, code: 107},

		{name: "clients with and without info", path: "/api/presence", body: `{"channel":"chat:x"}`, allowed: true, holds: `"user":"ada","conn_info":{"name":"ada"}}`},
		{name: "an empty channel", path: "/api/presence", body: `{"channel":"chat:empty"}`, allowed: true, holds: `{"presence":{}}`},
		{name: "a category without presence", path: "/api/presence", body: `{"channel":"news:x"}`, allowed: true, code: 108},
		{name: "an unknown category", path: "/api/presence", body: `{"channel":"nowhere:x"}`, allowed: true, code: 102},
		{name: "no channel", path: "/api/presence", body: `{}`, code: 107},
		{name: "a channel that is too long", path: "/api/presence", body: `{"channel":"chat:` + long + `"}`, code: 106},
		{name: "clients", path: "/api/presence_stats", body: `{"channel":"chat:x"}`, allowed: true, holds: `{"num_clients":3,"num_users":3}`},
		{name: "a category without presence", path: "/api/presence_stats", body: `{"channel":"news:x"}`, allowed: true, code: 108},
		{name: "no channel", path: "/api/presence_stats", body: `{}`, code: 107},

		{name: "all channels", path: "/api/channels", body: `{}`, allowed: true},
		{name: "channels of a category", path: "/api/channels", body: `{"pattern":"chat:*"}`, allowed: true, holds: `{"chat:x":{"num_clients":3}}`},
		{name: "no channels", path: "/api/channels", body: `{"pattern":"nowhere:*"}`, allowed: true},
		{name: "a page of one channel", path: "/api/channels", body: `{"limit":1}`, allowed: true, holds: `{"channels":{"chat:x":{"num_clients":3}},"cursor":"Y2hhdDp4"}`},
		{name: "the last page", path: "/api/channels", body: `{"limit":3000,"cursor":"Y2hhdDp4"}`, allowed: true, holds: `{"channels":{"news:x":{"num_clients":2}}}}`},
		{name: "a page after the last", path: "/api/channels", body: `{"cursor":"enp6OnoK"}`, allowed: true, holds: `{"channels":{}}`},
		{name: "a page of a pattern", path: "/api/channels", body: `{"limit":1,"pattern":"news:*"}`, allowed: true, holds: `{"channels":{"news:x":{"num_clients":2}}}}`},
		{name: "a limit of 0", path: "/api/channels", body: `{"limit":0}`, code: 107, holds: `limit is not from 1 to 3000`},
		{name: "a negative limit", path: "/api/channels", body: `{"limit":-1e300}`, code: 107, holds: `limit is not from 1 to 3000`},
		{name: "a limit that is too large", path: "/api/channels", body: `{"limit":1e300}`, code: 107, holds: `limit is not from 1 to 3000`},
		{name: "a limit of one and a half", path: "/api/channels", body: `{"limit":1.5}`, code: 107, holds: `limit is not from 1 to 3000`},
		{name: "a limit with a fraction of zero", path: "/api/channels", body: `{"limit":1.0}`, allowed: true, holds: `"cursor":"Y2hhdDp4"`},
		{name: "a limit that is a string", path: "/api/channels", body: `{"limit":"1"}`, code: 107, holds: `limit is not a number`},
		{name: "a cursor that is none", path: "/api/channels", body: `{"cursor":"../../x"}`, allowed: true, code: 107, holds: `cursor is not the one of an answer: leave it out to begin again`},
		{name: "a cursor that is a number", path: "/api/channels", body: `{"cursor":1}`, code: 107, holds: `cursor is not a string`},
		{name: "a malformed pattern", path: "/api/channels", body: `{"pattern":"["}`, allowed: true, code: 107},
		{name: "a pattern that is too long", path: "/api/channels", body: `{"pattern":"` + long + `"}`, code: 107},
		{name: "a pattern that is not a string", path: "/api/channels", body: `{"pattern":[]}`, code: 107},

		{name: "a field", path: "/api/info", body: `{"user":"ada"}`, code: 107, holds: `unknown field \"user\": there are no fields here`},
		{name: "the counts", path: "/api/info", body: `{}`, allowed: true, holds: `"num_clients":3,"num_users":2,`},
	}
}

// userExchanges are the exchanges of the methods about a user that came with Centrifugo's protocol.
func userExchanges() []exchange {
	return []exchange{
		{name: "a user", path: "/api/subscribe", body: `{"user":"bob","channel":"news:x"}`, allowed: true, holds: `{"result":{}}`},
		{name: "no user", path: "/api/subscribe", body: `{"channel":"news:x"}`, code: 107, holds: `user is required`},
		{name: "no channel", path: "/api/subscribe", body: `{"user":"bob"}`, code: 107, holds: `channel is required`},
		{name: "the keys of gocent", path: "/api/subscribe", body: `{"user":"bob","channel":"news:x","presence":true,"join_leave":true,"position":true,"recover":true}`, allowed: true, holds: `{"result":{}}`},
		{name: "a user", path: "/api/refresh", body: `{"user":"bob","expire_at":4102444800}`, allowed: true, holds: `{"result":{}}`},
		{name: "no user", path: "/api/refresh", body: `{"expired":true}`, code: 107, holds: `user is required`},
		{name: "no method", path: "/api/rpc", body: `{"params":1}`, code: 107, holds: `method is required`},
	}
}

// batchExchanges are the exchanges of batch.
func batchExchanges() []exchange {
	publish := func(n int) string { return strings.Repeat(`{"publish":{"channel":"nowhere:x","data":1}},`, n-1) }
	return []exchange{
		{name: "two commands", path: "/api/batch", body: `{"commands":[{"publish":{"channel":"news:batch","data":1}},{"presence_stats":{"channel":"chat:x"}}]}`, allowed: true,
			holds: `{"replies":[{"publish":{"delivered":0}},{"presence_stats":{"num_clients":3,"num_users":3}}]}`},
		{name: "concurrent commands, in order", path: "/api/batch", body: `{"commands":[{"channels":{"pattern":"nowhere:*"}},{"history":{"channel":"log:none"}},{"presence":{"channel":"chat:none"}}],"parallel":true}`, allowed: true,
			holds: `{"replies":[{"channels":{"channels":{}}},{"history":{"publications":[],"offset":0,"epoch":""}},{"presence":{"presence":{}}}]}`},
		{name: "errors of commands", path: "/api/batch", body: `{"commands":[{"publish":{"channel":"nowhere:x","data":1}},{"rpc":{"method":"m"}},{"unsubscribe":{"user":"absent"}}]}`, allowed: true,
			holds: `{"replies":[{"error":{"code":102,"message":"category not found: create the category, or correct its name"}},{"error":{"code":104,"message":"method not found: there are no extensions"}},{"unsubscribe":{}}]}`},
		{name: "what is no command", path: "/api/batch", body: `{"commands":[null,{},1,{"info":{},"rpc":{}},{"info":null},{"publish":[]}]}`,
			holds: `{"replies":[` + strings.Repeat(`{"error":{"code":107,"message":"bad request: a command is not an object with one method: it is written {\"publish\": {\"channel\": \"category:name\", \"data\": …}}"}},`, 4) +
				strings.Repeat(`,{"error":{"code":107,"message":"bad request: the body is not a JSON object"}}`, 2)[1:] + `]}`},
		{name: "a method that does not exist", path: "/api/batch", body: `{"commands":[{"batch":{"commands":[]}}]}`, holds: `{"replies":[{"error":{"code":104,`},
		{name: "a text that is none", path: "/api/batch", body: `{"commands":[{"publish":{"channel":"news:\ud800","data":1}},{"publish":{"channel":"news:batch","data":"\ud800"}}]}`, allowed: true,
			holds: `{"replies":[{"error":{"code":107,"message":"bad request: the command is not JSON: line 1, column 29: \\ud800 is half of a surrogate pair and no character"}},{"publish":{"delivered":0}}]}`},
		{name: "no commands", path: "/api/batch", body: `{"commands":[]}`, allowed: true, holds: `{"replies":[]}`},
		{name: "commands that are no array", path: "/api/batch", body: `{"commands":{"publish":{}}}`, code: 107, holds: `commands is not an array of objects`},
		{name: "as many commands as are allowed", path: "/api/batch", body: `{"commands":[` + publish(serverapi.MaxCommands) + `{"rpc":{"method":"m"}}],"parallel":true}`, allowed: true},
		{name: "too many commands", path: "/api/batch", body: `{"commands":[` + publish(serverapi.MaxCommands+1) + `{"rpc":{"method":"m"}}]}`, code: 106, holds: `1001 commands, at most 1000 are allowed`},
	}
}

// streamExchanges are the exchanges of POST /api with one command. TestStream sends several.
func streamExchanges() []exchange {
	const publish = `{"method":"publish","params":{"channel":"nowhere:x","data":1}}`
	all := []exchange{
		{name: "a command", body: `{"method":"presence_stats","params":{"channel":"chat:x"}}`, allowed: true, holds: `{"result":{"num_clients":3,"num_users":3}}`},
		{name: "a command with an id", body: `{"id":4294967295,"method":"presence","params":{"channel":"chat:none"}}`, allowed: true, holds: `{"id":4294967295,"result":{"presence":{}}}`},
		{name: "a command that fails", body: publish, allowed: true, code: 102},
		{name: "a command that fails, in the transport error mode", body: publish, allowed: true, code: 102, transport: true},
		{name: "no params", body: `{"method":"rpc"}`, allowed: true, code: 107, holds: `method is required`},
		{name: "an unknown method", body: `{"method":"sing","params":{}}`, allowed: true, code: 104},
		{name: "a batch", body: `{"method":"batch","params":{}}`, allowed: true, code: 104},
		{name: "an unknown key", body: `{"method":"info","parms":{}}`, code: 107, holds: `did you mean params?`},
		{name: "an id that is no number", body: `{"id":"1","method":"info"}`, code: 107, holds: `id is not a whole number from 0`},
		{name: "params that are no object", body: `{"method":"publish","params":[]}`, code: 107},
		{name: "a command that is no object", body: `null`, code: 107},
		{name: "the key in the URL", body: publish, allowed: true, code: 102, path: "/api?api_key=demo-key", header: "X-Nothing: 1"},
		{name: "without a key", body: publish, allowed: true, header: "X-Nothing: 1", status: 401, code: 101},
		{name: "an empty body", status: 400, code: 107, holds: "command 1 is not JSON: it is empty"},
		{name: "a body that is not JSON", body: `{"method":`, status: 400, code: 107, holds: "command 1 is not JSON: line 1, column 11: it ends too early"},
		{name: "a body over 1 MiB", body: `"` + strings.Repeat("x", serverapi.MaxBodyBytes) + `"`, status: 413, code: 106},
		{name: "too many commands", body: strings.Repeat("{}", serverapi.MaxCommands+1), code: 106},
		{name: "without a table", body: publish, allowed: true, status: 500, code: 100, broken: true},
	}
	for i := range all {
		all[i].operation = "/api"
		all[i].path = cmp.Or(all[i].path, "/api")
	}
	return all
}

// transportExchanges are the exchanges that ask for a status for every error.
func transportExchanges() []exchange {
	all := []exchange{
		{name: "success", path: "/api/publish", body: `{"channel":"news:transport","data":1}`, allowed: true, holds: `{"result":{"delivered":0}}`},
		{name: "an unknown category", path: "/api/publish", body: `{"channel":"nowhere:x","data":1}`, allowed: true, status: 404, code: 102, holds: `{"code":102,"message":"category not found: create the category, or correct its name"}`},
		{name: "a bad request", path: "/api/publish", body: `{"channel":"news:x"}`, status: 400, code: 107, holds: `{"code":107,"message":"bad request: data is required"}`},
		{name: "a limit", path: "/api/presence", body: `{"channel":"chat:` + strings.Repeat("x", 256) + `"}`, status: 400, code: 106, holds: `{"code":106,`},
		{name: "a feature that is off", path: "/api/presence", body: `{"channel":"news:x"}`, allowed: true, status: 400, code: 108, holds: `{"code":108,`},
		{name: "a stream that is far ahead of its dispatch", path: "/api/publish", body: `{"channel":"log:behind","data":1}`, allowed: true, status: 429, code: 111, holds: `{"code":111,`},
		{name: "a position of another epoch", path: "/api/history", body: `{"channel":"log:x","limit":1,"since":{"offset":1,"epoch":"another"}}`, allowed: true, status: 416, code: 112, holds: `{"code":112,`},
		{name: "an idempotency key in use", path: "/api/publish", body: `{"channel":"news:x","data":1,"idempotency_key":"busy"}`, allowed: true, status: 409, code: 113, holds: `{"code":113,`},
		{name: "a message that is too large", path: "/api/publish", body: `{"channel":"news:x","data":"` + strings.Repeat("x", hub.DefaultMessageBytes) + `"}`, allowed: true, status: 413, code: 413, holds: `{"code":413,`},
		{name: "an extension", path: "/api/rpc", body: `{"method":"m"}`, allowed: true, status: 404, code: 104, holds: `{"code":104,`},
		{name: "an unknown method", path: "/api/publish_", operation: "/api/publish", body: `{"channel":"news:x","data":1}`, allowed: true, status: 404, code: 104, holds: `{"code":104,`},
		{name: "without a key", path: "/api/info", header: "X-Nothing: 1", body: `{}`, allowed: true, status: 401, code: 101, holds: `{"code":101,`},
		{name: "a body that is not JSON", path: "/api/info", body: `{`, status: 400, code: 107, holds: `{"code":107,`},
		{name: "without a table", path: "/api/info", body: `{}`, allowed: true, status: 500, code: 100, broken: true, holds: `{"code":100,`},
		{name: "a channel that fails", path: "/api/broadcast", body: `{"channels":["nowhere:x"],"data":1}`, allowed: true, holds: `{"result":{"responses":[{"error":{"code":102,`},
		{name: "a broadcast that fails", path: "/api/broadcast", body: `{"channels":[],"data":1}`, status: 400, code: 107, holds: `{"code":107,`},
		{name: "a command that fails", path: "/api/batch", body: `{"commands":[{"publish":{"channel":"nowhere:x","data":1}}]}`, allowed: true, holds: `{"replies":[{"error":{"code":102,`},
		{name: "a batch that fails", path: "/api/batch", body: `{"commands":1}`, status: 400, code: 107, holds: `{"code":107,`},
	}
	for i := range all {
		all[i].name += ", in the transport error mode"
		all[i].transport = true
	}
	return all
}

// commonExchanges are the exchanges that are the same for every method of /api.
func commonExchanges() []exchange {
	bodies := map[string]string{
		"publish": `{"channel":"news:x","data":1}`, "broadcast": `{"channels":["news:x"],"data":1}`,
		"unsubscribe": `{"user":"absent","channel":"news:x"}`, "disconnect": `{"user":"absent"}`,
		"presence": `{"channel":"news:x"}`, "presence_stats": `{"channel":"news:x"}`, "history": `{"channel":"news:x"}`,
		"history_remove": `{"channel":"news:x"}`, "channels": `{}`, "info": `{}`,
		"subscribe": `{"user":"absent","channel":"news:x"}`, "refresh": `{"user":"absent"}`, "rpc": `{"method":"m"}`,
		"batch": `{"commands":[{"info":{}}]}`,
	}
	codes := map[string]int{"presence": 108, "presence_stats": 108, "history": 108, "history_remove": 108, "rpc": 104}
	const header = "send the header X-API-Key: KEY, or Authorization: apikey KEY"
	var all []exchange
	for _, method := range serverapi.Methods {
		path, body := "/api/"+method, bodies[method]
		code := codes[method]
		all = append(all,
			exchange{name: "with the key in Authorization", path: path, header: "Authorization: apikey demo-key", body: body, allowed: true, code: code},
			exchange{name: "without a key", path: path, header: "X-Nothing: 1", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: no API key: ` + header + `"`},
			exchange{name: "with a wrong key", path: path, header: "X-API-Key: wrong", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: no project has this API key: `},
			exchange{name: "with another scheme", path: path, header: "Authorization: Bearer demo-key", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: the API key is in the wrong header: ` + header + `"`},
			exchange{name: "with a signature", path: path, header: "X-Centrifuge-Auth: sign=00", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: a signature is for /rpc, not for /api: `},
			exchange{name: "with the key in the URL", path: path + "?api_key=demo-key", operation: path, header: "X-Nothing: 1", body: body, allowed: true, code: code},
			exchange{name: "with a wrong key in the URL", path: path + "?api_key=wrong", operation: path, header: "X-Nothing: 1", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: no project has this API key: `},
			exchange{name: "with a wrong key in the URL and the key in a header", path: path + "?api_key=wrong", operation: path, body: body, allowed: true, code: code},
			exchange{name: "an unknown field", path: path, body: `{"x":1}`, code: 107, holds: `unknown field \"x\": there are `},
			exchange{name: "a method of Centrifugo", path: "/api/map_publish", operation: path, body: body, allowed: true, status: 404, code: 104, holds: `map_publish is a method of Centrifugo, which is not supported`},
			exchange{name: "a method that does not exist", path: path + "_", operation: path, body: body, allowed: true, status: 404, code: 104, holds: `"method not found: did you mean ` + method + `?"`},
			exchange{name: "an empty body", path: path, status: 400, code: 107, holds: "the body is not JSON: it is empty"},
			exchange{name: "a body that is not JSON", path: path, body: `{"channel":`, status: 400, code: 107, holds: "the body is not JSON: line 1, column 12: it ends too early"},
			exchange{name: "an array", path: path, body: `[]`, code: 107, holds: "the body is not a JSON object"},
			exchange{name: "null", path: path, body: `null`, code: 107},
			exchange{name: "a body over 1 MiB", path: path, body: `"` + strings.Repeat("x", serverapi.MaxBodyBytes) + `"`, status: 413, code: 106},
			exchange{name: "without a table", path: path, body: body, allowed: true, status: 500, code: 100, broken: true},
		)
	}
	all = append(all, exchange{name: "a body over 10 MB", path: "/api/publish", body: strings.Repeat("x", 10<<20+1), status: 413, message: "Request Entity"})
	return all
}

// rpcExchanges are the exchanges of the API of 2013.
func rpcExchanges() []exchange {
	const broadcast = `{"id":"1","method":"broadcast","params":{"category":"news","channel":"x","data":{}}}`
	command := func(name, command string, allowed bool, status int, message string) exchange {
		body := base64.StdEncoding.EncodeToString([]byte(command))
		return exchange{name: name, path: "/rpc/demo", header: signed("demo-secret", "demo", body), body: body, allowed: allowed, status: status, message: message}
	}
	refused := func(name, header string, status int, message string) exchange {
		e := command(name, broadcast, true, status, message)
		e.header = header
		return e
	}
	unknown := command("an unknown project", broadcast, true, 404, "project not found")
	unknown.path = "/rpc/absent"
	noTable := command("without a table", broadcast, true, 500, "internal server error")
	noTable.broken = true
	noBase64 := exchange{name: "no base64", path: "/rpc/demo", header: signed("demo-secret", "demo", "{}"), body: "{}", status: 400, message: "malformed data"}
	large := strings.Repeat("e30=", serverapi.MaxBodyBytes/4+1)
	all := []exchange{
		command("broadcast", broadcast, true, 200, ""),
		command("unsubscribe without an id", `{"method":"unsubscribe","params":{"user":"bob","from":{"chat":["x"],"news":[]}}}`, true, 200, ""),
		command("presence", `{"id":"1","method":"presence","params":{"category":"room","channel":"lobby"}}`, true, 200, ""),
		command("presence in a category without presence", `{"id":"1","method":"presence","params":{"category":"news","channel":"x"}}`, true, 200, "not available"),
		command("presence without a channel", `{"id":"1","method":"presence","params":{"category":"room"}}`, false, 200, "channel is required"),
		command("an unknown category", strings.Replace(broadcast, "news", "nowhere", 1), true, 200, "category not found"),
		command("data that is not an object", `{"id":"1","method":"broadcast","params":{"category":"news","channel":"x","data":1}}`, false, 200, "data is not an object"),
		command("a user that is not a string", `{"method":"unsubscribe","params":{"user":1,"from":{}}}`, false, 200, "user is not a string"),
		command("an id that is not a string", `{"id":1,"method":"broadcast","params":{}}`, false, 200, "id is not a string"),
		command("no params", `{"method":"broadcast"}`, false, 200, "params is required"),
		command("another method", `{"id":"1","method":"publish","params":{}}`, false, 200, "method not found"),
		command("an array", `[1]`, false, 200, "the message is not an object"),
		command("an empty object", `{}`, false, 400, "malformed data"),
		command("a body that is not JSON", `hello`, false, 400, "malformed data"),
		noBase64,
		{name: "an empty body", path: "/rpc/demo", header: signed("demo-secret", "demo", ""), status: 400, message: "empty request"},
		refused("no header", key, 401, "no auth header found"),
		refused("a malformed header", "X-Centrifuge-Auth: nonsense", 401, "malformed auth header"),
		refused("a wrong signature", "X-Centrifuge-Auth: sign=00", 401, "unauthorized"),
		unknown,
		{name: "a body over 1 MiB", path: "/rpc/demo", header: key, body: large, status: 413, message: "limit exceeded"},
		{name: "a body over 10 MB", path: "/rpc/demo", header: key, body: strings.Repeat("x", 10<<20+1), status: 413, message: "Request Entity"},
		noTable,
	}
	for i := range all {
		all[i].operation = "/rpc/{project}"
	}
	return all
}

func signed(secret, project, body string) string {
	return "X-Centrifuge-Auth: " + auth.SignRequest(secret, project, []byte(body))
}

// request fails unless an operation allows a body and, for a body in base64, its content.
func (d *reference) request(at, body string) error {
	if _, content := d.object(join(at, "requestBody", "content", "text/plain")); content != nil {
		if err := d.check(join(at, "requestBody", "content", "text/plain", "schema"), body); err != nil {
			return err
		}
		command, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return err
		}
		return d.document("/components/schemas/SignedCommand/contentSchema", command)
	}
	return d.document(join(at, "requestBody", "content", "application/json", "schema"), []byte(body))
}

// document validates JSON with the schema at a pointer.
func (d *reference) document(pointer string, text []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return d.check(pointer, v)
}

// answer checks an answer against an operation and returns the pointer of its response. In the
// transport error mode that may be the default one.
func (d *reference) answer(t *testing.T, at string, status int, body []byte, transport bool) string {
	t.Helper()
	pointer := join(at, "responses", fmt.Sprint(status))
	where, response := d.object(pointer)
	if response == nil && transport {
		where, response = d.object(join(at, "responses", "default"))
	}
	if response == nil {
		t.Errorf("status %d is not described: %s", status, body)
		return ""
	}
	if err := d.document(join(where, "content", "application/json", "schema"), body); err != nil {
		t.Errorf("status %d: %s does not match its schema: %v", status, body, err)
	}
	return pointer
}

// failure returns the error of an answer: the code in /api, the message in /rpc and from
// API Gateway.
func failure(t *testing.T, body []byte) (code int, message string) {
	t.Helper()
	var answer struct {
		Error   json.RawMessage
		Code    int
		Message string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	if answer.Code != 0 && answer.Error == nil {
		return answer.Code, ""
	}
	var coded struct{ Code int }
	if json.Unmarshal(answer.Error, &coded) == nil && coded.Code != 0 {
		return coded.Code, ""
	}
	if len(answer.Error) > 0 {
		_ = json.Unmarshal(answer.Error, &message)
	}
	return 0, message + answer.Message
}

// send sends a request with headers, "Name: value", and returns its answer, which must be JSON.
func send(t *testing.T, method, address, body string, headers ...string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("status %d has the content type %q", response.StatusCode, got)
	}
	return response.StatusCode, b
}

// serviceWithClients starts a seeded service whose category chat has presence. ada and
// bob, to whom the example application gives info, and an anonymous client are in two
// channels.
func serviceWithClients(t *testing.T) *stack.Stack {
	t.Helper()
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"name": "chat",`, `"name": "chat", "presence": true,`,
		`{"name": "news"`, `{"name": "log", "history_size": 10, "history_ttl": 60000}, {"name": "news"`)})
	for _, user := range []string{"ada", "bob", ""} {
		conn, _, err := websocket.Dial(t.Context(), s.WebSocketURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		for _, frame := range []string{
			fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":%q,"project_id":"demo","permissions":{}}}`, auth.SignToken("demo-secret", user, "demo"), user),
			`{"method":"subscribe","params":{"to":{"news":["x"],"chat":["x"]}}}`,
		} {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
				t.Fatal(err)
			}
			if _, reply, err := conn.Read(t.Context()); err != nil || !bytes.Contains(reply, []byte(`"result":true`)) || bytes.Contains(reply, []byte("refused")) {
				t.Fatalf("%s was answered %s, error %v", frame, reply, err)
			}
		}
		go discard(context.WithoutCancel(t.Context()), conn)
	}
	return s
}

// discard reads a connection until it ends.
func discard(ctx context.Context, conn *websocket.Conn) {
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return
		}
	}
}

var errNoTable = errors.New("the table is missing")

type noTable struct{}

func (noTable) Project(context.Context, string) (*hub.Project, error) { return nil, errNoTable }

func (noTable) ProjectByAPIKeyHash(context.Context, string) (*hub.Project, error) {
	return nil, errNoTable
}
