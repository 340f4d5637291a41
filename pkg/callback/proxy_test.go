package callback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// newAsked starts a server that counts its requests, and returns a project that has its address
// for every proxy.
func newAsked(t *testing.T, h http.HandlerFunc) (p *hub.Project, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	u := s.URL + "/ask?key=hidden"
	return &hub.Project{ID: "p", Secret: webhookSecret, Options: hub.ProjectOptions{
		ProxyConnectURL: u, ProxyRefreshURL: u, ProxySubscribeURL: u, ProxyPublishURL: u, ProxySubRefreshURL: u, ProxyRPCURL: u,
	}}, requests
}

// newTestProxy returns a Proxy with a time-out that no test reaches.
func newTestProxy() *Proxy {
	return NewProxy(ProxyOptions{Insecure: true, Timeout: time.Minute, Now: func() time.Time { return time.Unix(1795338907, 0) }})
}

// blocks are the JSON objects of the reference in the section of a proxy.
func blocks(t *testing.T, x hub.Proxy) (objects []string) {
	t.Helper()
	b, err := os.ReadFile("PROXIES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n## "+string(x)+"\n")
	if !found {
		t.Fatalf("PROXIES.md has no section %s", x)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, -1) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(m[1])); err != nil {
			t.Fatalf("section %s: %v", x, err)
		}
		objects = append(objects, compact.String())
	}
	return objects
}

// examples are what the examples of the reference mean.
var examples = map[hub.Proxy]struct {
	request hub.ProxyRequest
	result  hub.ProxyResult
}{
	hub.ConnectProxy: {
		hub.ProxyRequest{Data: raw(`{"session":"5f1c"}`), Name: "js", Version: "5.8.0", Channels: []hub.Channel{{Category: "user", Name: "42"}}},
		hub.ProxyResult{
			User: "42", Expires: time.Unix(4102444800, 0), Info: raw(`{"name":"Ann"}`), Meta: raw(`{"plan":"gold"}`), Data: raw(`{"motd":"hi"}`),
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{{Category: "user", Name: "42"}: {
				Info: raw(`{"role":"owner"}`), Data: raw(`{"unread":3}`), Override: hub.Override{Presence: new(true)},
			}},
		},
	},
	hub.RefreshProxy: {
		hub.ProxyRequest{User: "42", Meta: raw(`{"plan":"gold"}`)},
		hub.ProxyResult{Expires: time.Unix(4102444800, 0), Info: raw(`{"name":"Ann"}`), Meta: raw(`{"plan":"free"}`)},
	},
	hub.SubscribeProxy: {
		hub.ProxyRequest{User: "42", Channel: room, Data: raw(`{"invitation":"x"}`), Meta: raw(`{"plan":"gold"}`)},
		hub.ProxyResult{
			Expires: time.Unix(4102444800, 0), Info: raw(`{"role":"guest"}`), Data: raw(`{"topic":"tea"}`),
			Override: hub.Override{JoinLeave: new(true)},
		},
	},
	hub.PublishProxy: {
		hub.ProxyRequest{User: "42", Channel: room, Data: raw(`{"text":"helo"}`), Meta: raw(`{"plan":"gold"}`)},
		hub.ProxyResult{Data: raw(`{"text":"hello"}`), Publish: hub.PublishOptions{
			SkipHistory: true, Tags: map[string]string{"lang": "en"}, IdempotencyKey: "7f3a",
		}},
	},
	hub.SubRefreshProxy: {
		hub.ProxyRequest{User: "42", Channel: room, Meta: raw(`{"plan":"gold"}`)},
		hub.ProxyResult{Expires: time.Unix(4102444800, 0), Info: raw(`{"role":"member"}`)},
	},
	hub.RPCProxy: {
		hub.ProxyRequest{User: "42", Method: "getCurrentPrice", Data: raw(`{"coin":"x"}`), Meta: raw(`{"plan":"gold"}`)},
		hub.ProxyResult{Data: raw(`{"price":12.5}`)},
	},
}

var room = hub.Channel{Project: "p", Category: "chat", Incarnation: "i", Name: "room"}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// TestProxyExamples holds the examples of the reference to what is sent and understood.
func TestProxyExamples(t *testing.T) {
	if len(examples) != len(hub.AllProxies) {
		t.Fatalf("%d examples of %d proxies", len(examples), len(hub.AllProxies))
	}
	for x, example := range examples {
		t.Run(string(x), func(t *testing.T) {
			documented := blocks(t, x)
			if len(documented) != 2 {
				t.Fatalf("%d objects, expected a request and a reply", len(documented))
			}
			var got string
			p, _ := newAsked(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = string(body)
				io.WriteString(w, documented[1])
			})
			q := example.request
			q.Proxy, q.Client = x, "L0SM9cOFvHcCIhw="
			result, err := newTestProxy().Ask(t.Context(), p, q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(documented[0], got); diff != "" {
				t.Errorf("request, -documented +sent:\n%s", diff)
			}
			if diff := cmp.Diff(example.result, result); diff != "" {
				t.Errorf("result, -expected +understood:\n%s", diff)
			}
		})
	}
}

func TestProxyRequestOfAnonymousClient(t *testing.T) {
	for x, want := range map[hub.Proxy]string{
		hub.ConnectProxy: `{"client":"c","transport":"websocket","protocol":"json","encoding":"json"}`,
		hub.RefreshProxy: `{"client":"c","transport":"websocket","protocol":"json","encoding":"json","user":""}`,
		hub.RPCProxy:     `{"client":"c","transport":"websocket","protocol":"json","encoding":"json","user":"","method":""}`,
	} {
		got, err := encodeProxyRequest(hub.ProxyRequest{Proxy: x, Client: "c"})
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; expected %s", x, got, err, want)
		}
	}
}

func TestProxyHeaders(t *testing.T) {
	var header http.Header
	var body []byte
	p, _ := newAsked(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"result":{}}`)
	})
	p.PreviousSecret = "previous"
	if _, err := newTestProxy().Ask(t.Context(), p, hub.ProxyRequest{Proxy: hub.RPCProxy, Data: raw(`"<é>"`)}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(body, []byte(`"data":"<é>"`)) {
		t.Errorf("body %s", body)
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": header["Content-Length"], "User-Agent": {"centrifuge"},
		"X-Centrifuge-Timestamp": {"1795338907"}, "X-Centrifuge-Signature": {"sha256=" + sign("previous", "1795338907", body)},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Errorf("-expected +sent:\n%s", diff)
	}
}

func TestProxyReplies(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		result  hub.ProxyResult
		decided error
	}{
		"empty result":                    {" {\"result\":{}}\n", hub.ProxyResult{}, nil},
		"result with unknown keys":        {`{"result":{"caps":[1],"allow":["p"]},"x":1}`, hub.ProxyResult{}, nil},
		"result of nulls":                 {`{"result":{"info":null,"data":null,"meta":null,"subs":null,"override":null,"tags":null},"error":null,"disconnect":null}`, hub.ProxyResult{}, nil},
		"expired":                         {`{"result":{"expired":true}}`, hub.ProxyResult{Expired: true}, nil},
		"base64 before JSON":              {`{"result":{"info":1,"b64info":"Mg==","data":1,"b64data":"eyJhIjogM30="}}`, hub.ProxyResult{Info: raw("2"), Data: raw(`{"a":3}`)}, nil},
		"channels":                        {`{"result":{"channels":["$a:b","c"]}}`, hub.ProxyResult{Subscriptions: map[hub.Channel]hub.SubscribeOptions{{Category: "a", Name: "$b"}: {}, {Name: "c"}: {}}}, nil},
		"version":                         {`{"result":{"version":18446744073709551615,"version_epoch":"e"}}`, hub.ProxyResult{Publish: hub.PublishOptions{Version: 1<<64 - 1, VersionEpoch: "e"}}, nil},
		"data with half a surrogate pair": {`{"result":{"data":"\ud800"}}`, hub.ProxyResult{Data: raw(`"\ud800"`)}, nil},
		"least error":                     {`{"error":{"code":100}}`, hub.ProxyResult{}, &hub.ApplicationError{Code: 100}},
		"greatest error":                  {`{"result":{},"error":{"code":1999,"message":"no","temporary":true}}`, hub.ProxyResult{}, &hub.ApplicationError{Code: 1999, Message: "no", Temporary: true}},
		"least disconnect":                {`{"disconnect":{"code":3000,"reason":"r"},"error":{"code":100},"result":{}}`, hub.ProxyResult{}, &hub.Disconnection{Code: 3000, Reason: "r"}},
		"greatest disconnect":             {`{"disconnect":{"code":4999}}`, hub.ProxyResult{}, &hub.Disconnection{Code: 4999}},
	} {
		t.Run(name, func(t *testing.T) {
			result, decided, err := decodeProxyReply([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.result, result); diff != "" {
				t.Errorf("result, -expected +got:\n%s", diff)
			}
			if diff := cmp.Diff(c.decided, decided); diff != "" {
				t.Errorf("decided, -expected +got:\n%s", diff)
			}
		})
	}
}

// invalidReplies are bodies of a 200 that are no valid answer.
var invalidReplies = map[string]string{
	"empty": "", "text": "ok", "null": "null", "list": "[]", "empty object": "{}", "result null": `{"result":null}`,
	"result list": `{"result":[]}`, "cut off": `{"result":{`, "two objects": `{"result":{}}{}`, "key twice": `{"result":{},"Result":{}}`,
	"key of tags twice": `{"result":{"tags":{"a":"1","a":"2"}}}`, "half a surrogate pair": `{"result":{"user":"\ud800"}}`,
	"user a number": `{"result":{"user":42}}`, "user too long": `{"result":{"user":"` + strings.Repeat("u", hub.MaxNameBytes+1) + `"}}`,
	"negative expire_at": `{"result":{"expire_at":-1}}`, "expire_at in milliseconds": `{"result":{"expire_at":4102444800000}}`,
	"info too long": `{"result":{"info":"` + strings.Repeat("i", hub.MaxInfoBytes-1) + `"}}`,
	"meta too long": `{"result":{"meta":"` + strings.Repeat("m", hub.MaxMetaBytes-1) + `"}}`,
	"b64data text":  `{"result":{"b64data":"aGk="}}`, "b64info no base64": `{"result":{"b64info":"?"}}`,
	"channel without a name":         `{"result":{"channels":["a:"]}}`,
	"subscription with invalid info": `{"result":{"subs":{"a:b":{"b64info":"?"}}}}`,
	"tag without a name":             `{"result":{"tags":{"":"x"}}}`,
	"idempotency_key too long":       `{"result":{"idempotency_key":"` + strings.Repeat("k", hub.MaxNameBytes+1) + `"}}`,
	"error without a code":           `{"error":{"message":"no"}}`, "error of 99": `{"error":{"code":99}}`, "error of 2000": `{"error":{"code":2000}}`,
	"message too long":   `{"error":{"code":1000,"message":"` + strings.Repeat("m", hub.MaxNameBytes+1) + `"}}`,
	"disconnect of 2999": `{"disconnect":{"code":2999}}`, "disconnect of 5000": `{"disconnect":{"code":5000}}`,
	"reason too long": `{"disconnect":{"code":4000,"reason":"` + strings.Repeat("r", hub.MaxNameBytes+1) + `"}}`,
}

func TestProxyInvalidReplies(t *testing.T) {
	tooMany := `{"result":{"channels":[""`
	for i := range hub.MaxChannels {
		tooMany += `,"a:` + strings.Repeat("x", i+1) + `"`
	}
	invalid := map[string]string{"too many channels": strings.Replace(tooMany, `""`, `"b"`, 1) + `]}}`}
	for name, body := range invalidReplies {
		invalid[name] = body
	}
	for name, body := range invalid {
		if result, decided, err := decodeProxyReply([]byte(body)); err == nil {
			t.Errorf("%s: %+v, %v, expected an error", name, result, decided)
		}
	}
}

// expectNoReply asks and expects hub.ErrInternal, which is temporary.
func expectNoReply(t *testing.T, x *Proxy, p *hub.Project) {
	t.Helper()
	_, err := x.Ask(t.Context(), p, hub.ProxyRequest{Proxy: hub.RPCProxy})
	if public := hub.Public(err); !errors.Is(err, hub.ErrInternal) || !public.Temporary || !strings.Contains(public.Help, "proxy_rpc_url") {
		t.Errorf("error %+v, expected %v with the option", err, hub.ErrInternal)
	}
}

func TestProxyWithoutAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status 500": status(500, `{"result":{}}`),
		"status 201": status(201, `{"result":{}}`),
		"status 403": status(403, ""),
		"a page":     status(200, "<html>"),
		"too large":  status(200, `{"result":{"data":"`+strings.Repeat("x", maxResponseBytes)+`"}}`),
		"closed":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, `{"result":{}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, requests := newAsked(t, h)
			expectNoReply(t, newTestProxy(), p)
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, expected 1", n)
			}
		})
	}
}

func TestProxyTimeout(t *testing.T) {
	p, requests := newAsked(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	expectNoReply(t, NewProxy(ProxyOptions{Insecure: true, Timeout: 50 * time.Millisecond}), p)
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, expected 1", n)
	}
}

func TestProxyRefusedAddresses(t *testing.T) {
	p, requests := newAsked(t, status(200, `{"result":{}}`))
	secure := NewProxy(ProxyOptions{Timeout: time.Minute})
	for name, url := range map[string]string{
		"plain http":        p.Options.ProxyRPCURL,
		"a private address": strings.Replace(p.Options.ProxyRPCURL, "http:", "https:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			private := *p
			private.Options.ProxyRPCURL = url
			expectNoReply(t, secure, &private)
		})
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests, expected none", n)
	}
}

// TestProxyPause follows an application that fails, for two processes.
func TestProxyPause(t *testing.T) {
	s := storetest.New(t, store.Options{})
	process := func() *Proxy {
		return NewProxy(ProxyOptions{Insecure: true, Timeout: time.Minute, Now: s.Clock.Now, Breakers: s.Another(store.Options{})})
	}
	one, two := process(), process()
	var body atomic.Value
	body.Store("{}")
	p, requests := newAsked(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body.Load().(string)) })
	for range hub.BreakerFailures + 1 {
		expectNoReply(t, one, p)
	}
	s.Clock.Advance(1500 * time.Millisecond) // the caches have expired
	expectNoReply(t, two, p)
	if n := requests.Swap(0); n != hub.BreakerFailures {
		t.Errorf("%d requests before the pause, expected %d", n, hub.BreakerFailures)
	}
	s.Clock.Advance(500 * time.Millisecond)
	body.Store(`{"error":{"code":1000,"message":"no"}}`)
	for _, x := range []*Proxy{two, one} {
		s.Clock.Advance(1500 * time.Millisecond)
		var refused *hub.ApplicationError
		if _, err := x.Ask(t.Context(), p, hub.ProxyRequest{Proxy: hub.RPCProxy}); !errors.As(err, &refused) || refused.Code != 1000 {
			t.Errorf("error %v, expected the one of the application", err)
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests after the pause, expected 2", n)
	}
}

// TestProxyCallerEnds checks that a caller that ends is no failure of the application.
func TestProxyCallerEnds(t *testing.T) {
	s := storetest.New(t, store.Options{})
	x := NewProxy(ProxyOptions{Insecure: true, Timeout: time.Minute, Now: s.Clock.Now, Breakers: s})
	asked := make(chan context.CancelFunc, 1)
	p, _ := newAsked(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		(<-asked)()
		<-r.Context().Done()
	})
	for range hub.BreakerFailures + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		asked <- cancel
		if _, err := x.Ask(ctx, p, hub.ProxyRequest{Proxy: hub.RPCProxy}); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, expected %v", err, context.Canceled)
		}
	}
}

// TestProxyOptions checks that each proxy has its own option.
func TestProxyOptions(t *testing.T) {
	for _, x := range hub.AllProxies {
		var o hub.ProjectOptions
		if err := json.Unmarshal([]byte(`{"`+x.Option()+`":"https://example.com/"}`), &o); err != nil {
			t.Fatal(err)
		}
		var set []hub.Proxy
		for _, other := range hub.AllProxies {
			if o.ProxyURL(other) != "" {
				set = append(set, other)
			}
		}
		if !slices.Equal(set, []hub.Proxy{x}) {
			t.Errorf("%s sets %v", x.Option(), set)
		}
	}
}
