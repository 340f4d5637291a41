package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/centrifugo"
)

// FuzzDefaultRoute sends any frame to the route $default, of a client that has connected, of one
// that has not, and of a classic one: the frame is answered or closes the connection, unless it
// is a pong or asks nothing.
func FuzzDefaultRoute(f *testing.F) {
	for _, frame := range []string{
		`{}`, `null`, `[]`, `{"id":1}`, "", "\n", "{}\n{}", `{"id":0,"ping":{}}`, `{"id":4294967296,"ping":{}}`,
		`{"id":2,"connect":{}}`, `{"id":2,"connect":{"token":"a.b.c","subs":{"log:x":{"recover":true,"offset":1,"epoch":"e"},"":null}}}`,
		`{"id":2,"subscribe":{"channel":"chat:x","join_leave":true}}` + "\n" + `{"id":3,"unsubscribe":{"channel":"chat:x"}}`,
		`{"id":2,"subscribe":{"channel":"log:x","recoverable":true,"recover":true,"offset":18446744073709551615,"flag":2}}`,
		`{"id":2,"subscribe":{"channel":"$chat:x","token":"a.b.c"}}`, `{"id":2,"publish":{"channel":"log:x","data":null}}`, `{"id":2,"publish":{"channel":":","data":{}}}`,
		`{"id":2,"presence":{"channel":"chat:x"}}`, `{"id":2,"presence_stats":{"channel":"chat:x"}}`, `{"id":2,"rpc":{"method":"m","data":1}}`, `{"send":{"data":1}}`,
		`{"id":2,"history":{"channel":"log:x","limit":-1,"since":{"offset":18446744073709551615},"reverse":true}}`,
		`{"id":2,"refresh":{"token":"x"}}`, `{"id":2,"sub_refresh":{"channel":"chat:x","token":"x"}}`, `{"id":2,"ping":{}}` + "\nx",
		`{"id":"1","method":"presence","params":{"category":"chat","channel":"x"}}`, `{"method":"presence"}`, "\xff",
	} {
		f.Add(frame)
	}
	r := newRig(f, hub.ProjectOptions{AllowAnonymousConnectWithoutToken: true})
	var clients atomic.Int64
	f.Fuzz(func(t *testing.T, frame string) {
		if len(frame) > 32<<10 {
			return // API Gateway closes the connection
		}
		n := clients.Add(1)
		for kind, begin := range map[string]string{
			"new": "", "connected": `{"id":1,"connect":{}}`, "classic": `{"id":"1","method":"auth","params":{"token":"","user":"","project_id":"p","permissions":{}}}`,
		} {
			c := fmt.Sprintf("%s-%d", kind, n)
			r.open(t, c, projectID, "")
			if begin != "" {
				r.send(t, c, begin)
				r.take()
			}
			response, err := r.routes["$default"](t.Context(), event("$default", c, frame))
			if err != nil {
				t.Fatal(err)
			}
			r.drain(t)
			got := r.take()
			if response.Body != "" {
				got = append(got, c+" < "+response.Body)
			}
			answered := false
			for _, line := range got {
				reply, ok := strings.CutPrefix(line, c+" < ")
				answered = answered || line == c+" closed" || ok
				for object := range strings.SplitSeq(reply, "\n") {
					if ok && !json.Valid([]byte(object)) {
						t.Errorf("a %s client got %s", kind, object)
					}
				}
			}
			pong := kind != "connected" && strings.TrimSpace(frame) == "{}"
			if !answered && !pong && (kind != "connected" || !silent(frame)) {
				t.Errorf("a %s client got nothing", kind)
			}
		}
	})
}

// silent reports whether a frame has pongs only.
func silent(frame string) bool {
	commands, err := centrifugo.Decode([]byte(frame))
	for _, c := range commands {
		if !c.Pong {
			return false
		}
	}
	return err == nil
}
