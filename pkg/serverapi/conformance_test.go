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
	for _, e := range append(append(methodExchanges(), commonExchanges()...), rpcExchanges()...) {
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
			status, body := send(t, http.MethodPost, base+e.path, e.header, e.body)
			occurred[strict.answer(t, at, status, body)] = true
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
			status, body := send(t, http.MethodGet, s.HTTPURL+path, "X-Nothing: 1", "")
			occurred[strict.answer(t, join("/paths", path, "get"), status, body)] = true
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
		{name: "a field of Centrifugo", path: "/api/publish", body: `{"channel":"news:x","data":1,"delta":true}`, code: 108, holds: `"not available: field \"delta\" is not supported: leave it out"`},
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
		{name: "no data", path: "/api/broadcast", body: `{"channels":["news:x"]}`},
		{name: "a field of Centrifugo", path: "/api/broadcast", body: `{"channels":["news:x"],"data":1,"b64data":"MQ=="}`, code: 108},
		{name: "a stream", path: "/api/broadcast", body: `{"channels":["news:x","log:y"],"data":1}`, allowed: true, holds: `{"result":{"responses":[{"result":{"delivered":3}},{"result":{"offset":1,"epoch":"`},
		{name: "a channel instead of channels", path: "/api/broadcast", body: `{"channel":"news:x","data":1}`, code: 107, holds: `did you mean channels?`},
		{name: "no channels", path: "/api/broadcast", body: `{"data":1}`, code: 107},
		{name: "an empty list", path: "/api/broadcast", body: `{"channels":[],"data":1}`, code: 107},
		{name: "too many channels", path: "/api/broadcast", body: `{"channels":[` + thousand + `,"news:x"],"data":1}`, code: 106},

		{name: "a user in the channel", path: "/api/unsubscribe", body: `{"user":"bob","channel":"news:x"}`, allowed: true},
		{name: "a user who is not in the channel", path: "/api/unsubscribe", body: `{"user":"absent","channel":"news:x"}`, allowed: true},
		{name: "empty fields of Centrifugo", path: "/api/unsubscribe", body: `{"user":"absent","channel":"news:x","client":"","session":""}`, allowed: true},
		{name: "a client of Centrifugo", path: "/api/unsubscribe", body: `{"user":"absent","channel":"news:x","client":"c"}`, code: 108},
		{name: "no user", path: "/api/unsubscribe", body: `{"channel":"news:x"}`, code: 107},
		{name: "the anonymous user", path: "/api/unsubscribe", body: `{"user":"","channel":"news:x"}`, code: 107},
		{name: "a user whose name is too long", path: "/api/unsubscribe", body: `{"user":"` + strings.Repeat("u", 256) + `","channel":"news:x"}`, code: 106},
		{name: "no channel", path: "/api/unsubscribe", body: `{"user":"bob"}`, code: 107},

		{name: "a user who is not connected", path: "/api/disconnect", body: `{"user":"absent"}`, allowed: true},
		{name: "empty fields of Centrifugo", path: "/api/disconnect", body: `{"user":"absent","client":"","session":"","whitelist":[],"disconnect":null}`, allowed: true},
		{name: "a disconnect of Centrifugo", path: "/api/disconnect", body: `{"user":"absent","disconnect":{"code":4000,"reason":"bye"}}`, code: 108},
		{name: "no user", path: "/api/disconnect", body: `{}`, code: 107},
		{name: "a user whose name is too long", path: "/api/disconnect", body: `{"user":"` + strings.Repeat("u", 256) + `"}`, code: 106},
		{name: "a user that is not a string", path: "/api/disconnect", body: `{"user":7}`, code: 107},

		{name: "clients with and without info", path: "/api/presence", body: `{"channel":"chat:x"}`, allowed: true, holds: `"user":"ada","conn_info":{"name":"ada"}}`},
		{name: "an empty channel", path: "/api/presence", body: `{"channel":"chat:empty"}`, allowed: true, holds: `{"presence":{}}`},
		{name: "a category without presence", path: "/api/presence", body: `{"channel":"news:x"}`, allowed: true, code: 108},
		{name: "an unknown category", path: "/api/presence", body: `{"channel":"nowhere:x"}`, allowed: true, code: 102},
		{name: "no channel", path: "/api/presence", body: `{}`, code: 107},
		{name: "a channel that is too long", path: "/api/presence", body: `{"channel":"chat:` + long + `"}`, code: 106},
		{name: "clients", path: "/api/presence_stats", body: `{"channel":"chat:x"}`, allowed: true, holds: `{"num_clients":3,"num_users":2}`},
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

// commonExchanges are the exchanges that are the same for every method of /api.
func commonExchanges() []exchange {
	bodies := map[string]string{
		"publish": `{"channel":"news:x","data":1}`, "broadcast": `{"channels":["news:x"],"data":1}`,
		"unsubscribe": `{"user":"absent","channel":"news:x"}`, "disconnect": `{"user":"absent"}`,
		"presence": `{"channel":"news:x"}`, "presence_stats": `{"channel":"news:x"}`, "history": `{"channel":"news:x"}`,
		"history_remove": `{"channel":"news:x"}`, "channels": `{}`, "info": `{}`,
	}
	const header = "send the header X-API-Key: KEY, or Authorization: apikey KEY"
	var all []exchange
	for _, method := range serverapi.Methods {
		path, body := "/api/"+method, bodies[method]
		code := 0
		if strings.HasPrefix(method, "presence") || strings.HasPrefix(method, "history") {
			code = 108
		}
		all = append(all,
			exchange{name: "with the key in Authorization", path: path, header: "Authorization: apikey demo-key", body: body, allowed: true, code: code},
			exchange{name: "without a key", path: path, header: "X-Nothing: 1", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: no API key: ` + header + `"`},
			exchange{name: "with a wrong key", path: path, header: "X-API-Key: wrong", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: no project has this API key: `},
			exchange{name: "with another scheme", path: path, header: "Authorization: Bearer demo-key", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: the API key is in the wrong header: ` + header + `"`},
			exchange{name: "with a signature", path: path, header: "X-Centrifuge-Auth: sign=00", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: a signature is for /rpc, not for /api: `},
			exchange{name: "with the key in the URL", path: path + "?api_key=demo-key", operation: path, header: "X-Nothing: 1", body: body, allowed: true, status: 401, code: 101, holds: `"unauthorized: the API key is in the URL: `},
			exchange{name: "an unknown field", path: path, body: `{"x":1}`, code: 107, holds: `unknown field \"x\": there are `},
			exchange{name: "a method of Centrifugo", path: "/api/subscribe", operation: path, body: body, allowed: true, status: 404, code: 104, holds: `subscribe is a method of Centrifugo, which is not supported`},
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

// answer checks an answer against an operation and returns the pointer of its response.
func (d *reference) answer(t *testing.T, at string, status int, body []byte) string {
	t.Helper()
	pointer := join(at, "responses", fmt.Sprint(status))
	where, response := d.object(pointer)
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
		Message string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Errorf("%s: %v", body, err)
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

// send sends a request and returns its answer, which must be JSON.
func send(t *testing.T, method, address, header, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(header, ": ")
	r.Header.Set(name, value)
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
