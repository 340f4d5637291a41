package stack_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
)

// strictSeed is a project with options that the demo project leaves at their defaults.
const strictSeed = `{"projects":[{"id":"strict","secret":"strict-secret","api_keys":["strict-key"],
	"options":{"origins":["https://good.example"]},
	"categories":[{"name":"wide","bidirectional":true,"presence":true,"shards":8,"max_message_bytes":100},{"name":"large","max_message_bytes":131072}]}]}`

// TestOptions plays scripts against the project of strictSeed.
func TestOptions(t *testing.T) {
	auth := `send a {"id":"1","method":"auth","params":{"token":"{{token "u"}}","user":"u","project_id":"strict","permissions":{}}}` + "\n"
	in := `expect a {"ack":true,"id":"1","method":"auth","result":true,"error":null}` + "\n"
	for name, script := range map[string]string{
		"listed origin":                    "open a https://good.example\n" + auth + in,
		"listed origin in the handshake":   "open a ?project=strict https://good.example\n" + auth + in,
		"unlisted origin in the handshake": "refused 403 ?project=strict https://evil.example",
		"unlisted origin in auth keeps the socket open": "open a https://evil.example\n" + auth +
			`expect a {"ack":true,"id":"1","method":"auth","result":null,"error":"permission denied: the project does not list this origin","code":103,"detail":"the project does not list this origin: add \"https://evil.example\" to the origins of the project"}` + "\nquiet a",
		"MD5 token without the option": "open a\n" + strings.ReplaceAll(auth, "token \"u\"", "md5token \"u\"") +
			`expect a {"ack":true,"id":"1","method":"auth","result":null,"error":"invalid token","code":401,"detail":"*"}`,
		"max_message_bytes of a category": "open a\n" + auth + in +
			`send a {"id":"2","method":"broadcast","params":{"category":"wide","channel":"x","data":{"a":"{{repeat "x" 92}}"}}}
			expect a {"ack":true,"id":"2","method":"broadcast","result":true,"error":null}
			send a {"id":"3","method":"broadcast","params":{"category":"wide","channel":"x","data":{"a":"{{repeat "x" 93}}"}}}
			expect a {"ack":true,"id":"3","method":"broadcast","result":null,"error":"message too large: data is 101 bytes, at most 100 are allowed in category wide","code":413,"detail":"data is 101 bytes, at most 100 are allowed in category wide"}`,
		"push too large for API Gateway is refused before any post": "open a\n" + auth + in +
			`send a {"id":"2","method":"subscribe","params":{"to":{"large":["x"]}}}
			expect a {"ack":true,"id":"2","method":"subscribe","result":true,"error":null}
			api strict-key publish {"channel":"large:x","data":"{{repeat "x" 131060}}"}
			status 200 {"error":{"code":413,"message":"*"}}
			quiet a
			api strict-key publish {"channel":"large:x","data":"{{repeat "x" 130000}}"}
			status 200 {"result":{"delivered":1}}
			expect a "*"`,
		"presence counts clients and users until unsubscribe": "open a\n" + auth + in + "open b\n" + strings.ReplaceAll(auth+in, " a ", " b ") +
			`send a {"id":"2","method":"subscribe","params":{"to":{"wide":["x"]}}}
			expect a {"ack":true,"id":"2","method":"subscribe","result":true,"error":null}
			send b {"id":"2","method":"subscribe","params":{"to":{"wide":["x"]}}}
			expect b {"ack":true,"id":"2","method":"subscribe","result":true,"error":null}
			api strict-key presence_stats {"channel":"wide:x"}
			status 200 {"result":{"num_clients":2,"num_users":1}}
			send b {"id":"3","method":"unsubscribe","params":{"from":{"wide":["x"]}}}
			expect b {"ack":true,"id":"3","method":"unsubscribe","result":true,"error":null}
			api strict-key presence_stats {"channel":"wide:x"}
			status 200 {"result":{"num_clients":1,"num_users":1}}
			api strict-key presence {"channel":"wide:empty"}
			status 200 {"result":{"presence":{}}}
			api strict-key presence {"channel":"large:x"}
			status 200 {"error":{"code":108,"message":"not available: category large has no presence: turn on its option presence"}}
			api strict-key presence {"channel":"nowhere:x"}
			status 200 {"error":{"code":102,"message":"category not found: create the category, or correct its name"}}
			api strict-key presence_stats {}
			status 200 {"error":{"code":107,"message":"*"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := stacktest.Start(t, stack.Options{Seed: []byte(strictSeed)})
			target := e2e.Target{WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, Project: "strict", Secret: "strict-secret", APIKey: "strict-key"}
			if _, err := e2e.Run(t.Context(), target, name, script); err != nil {
				t.Error(err)
			}
		})
	}
}

// strict is a project of strictSeed under the id of the project demo.
var strict = tenant{"demo", "strict-secret", "strict-key"}

// TestShards spreads subscribers over shards and counts receipts.
func TestShards(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: []byte(strings.Replace(strictSeed, `"strict"`, `"demo"`, 1))})
	shards := make(map[int]bool)
	var conns []*websocket.Conn
	for i := range 40 {
		conns = append(conns, joinWith(t, s, strict.member("wide", fmt.Sprint(i)), "x"))
	}
	for shard := range 8 {
		for page, err := range s.App.Store.Subscribers(t.Context(), locate(t, s, "wide:x"), shard) {
			if err != nil {
				t.Fatal(err)
			}
			shards[shard] = shards[shard] || len(page) > 0
		}
	}
	if len(shards) < 4 {
		t.Errorf("40 subscribers are in %d of 8 shards, want 4 or more", len(shards))
	}
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.App.Hub.Publish(t.Context(), p, hub.Channel{Project: "demo", Category: "wide", Name: "x"}, []byte(`1`), hub.PublishOptions{})
	if diff := cmp.Diff(hub.Published{Result: hub.Result{Delivered: 40}}, result); err != nil || diff != "" {
		t.Errorf("error %v, -expected +got:\n%s", err, diff)
	}
	for _, conn := range conns {
		receive(t, conn)
	}
}

// TestPresenceReadsAllShards reads the clients of a channel with several shards.
func TestPresenceReadsAllShards(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: []byte(strings.Replace(strictSeed, `"strict"`, `"demo"`, 1))})
	for _, user := range []string{"ada", "bob", "ada"} {
		joinWith(t, s, strict.member("wide", user), "x")
	}
	joinWith(t, s, strict.member("wide", "cyd"), "y")
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	clients, err := s.App.Hub.Presence(t.Context(), p, hub.Channel{Project: "demo", Category: "wide", Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	connections := make(map[string]bool)
	for _, c := range clients {
		users = append(users, c.User)
		connections[c.Connection] = true
	}
	slices.Sort(users)
	if !slices.Equal(users, []string{"ada", "ada", "bob"}) || len(connections) != 3 {
		t.Errorf("users %v in %d connections", users, len(connections))
	}
}
