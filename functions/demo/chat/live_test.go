package chat_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

// TestLive runs its cases in order: each one builds on the counters of those before.
func TestLive(t *testing.T) {
	const unknownOption = `{"error":"unknown option: vote for Assam, Earl Grey, Rooibos or Sencha"}`
	c := &centrifuge{status: 200, reply: accepted}
	h := chat.New(c.start(t))
	published := func(channel, data string) []string {
		return []string{`{"method":"broadcast","params":{"category":"live","channel":"` + channel + `","data":` + data + `}}`}
	}
	for _, step := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		commands                 []string
	}{
		{"counters start at 0", "GET", "/demo/live", ``, 200,
			`{"applause":0,"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":0}}`, nil},
		{"applause is counted, published and answered", "POST", "/demo/applaud", `{}`, 200, `{"applause":1}`,
			published("counter", `{"applause":1}`)},
		{"applause without a body", "POST", "/demo/applaud", ``, 200, `{"applause":2}`, published("counter", `{"applause":2}`)},
		{"a vote publishes the totals of all teas", "POST", "/demo/vote", `{"option":"Sencha"}`, 200,
			`{"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":1}}`,
			published("poll", `{"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":1}}`)},
		{"a vote for another tea adds to it", "POST", "/demo/vote", `{"option":"Earl Grey"}`, 200,
			`{"votes":{"Assam":0,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`,
			published("poll", `{"votes":{"Assam":0,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`)},
		{"an unknown option is refused", "POST", "/demo/vote", `{"option":"Coffee"}`, 400, unknownOption, nil},
		{"a missing option is refused", "POST", "/demo/vote", `{}`, 400, unknownOption, nil},
		{"invalid JSON is refused", "POST", "/demo/vote", `Assam`, 400, invalidRequest, nil},
		{"reading the totals counts nothing", "GET", "/demo/live", ``, 200,
			`{"applause":2,"votes":{"Assam":0,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			c.commands = nil
			expect(t, h, step.method, step.path, step.body, step.status, step.want)
			if diff := cmp.Diff(step.commands, c.commands); diff != "" {
				t.Errorf("commands:\n%s", diff)
			}
		})
	}
	t.Run("a vote that cannot be published stays counted", func(t *testing.T) {
		c.reply = `{"id":null,"error":"category not found","result":null}`
		expect(t, h, "POST", "/demo/applaud", ``, 502, `{"error":"Centrifuge refused the message: category not found"}`)
		expect(t, h, "POST", "/demo/vote", `{"option":"Assam"}`, 502, `{"error":"Centrifuge refused the message: category not found"}`)
		expect(t, h, "GET", "/demo/live", ``, 200, `{"applause":3,"votes":{"Assam":1,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`)
	})
}

func TestCountErrors(t *testing.T) {
	broken := func(context.Context, string, int) (int, error) { return 0, errors.New("the table is missing") }
	poll := func(_ context.Context, name string, _ int) (int, error) {
		if name == "applause" {
			return 0, nil
		}
		return 0, errors.New("the table is missing")
	}
	for _, test := range []struct {
		name         string
		count        func(context.Context, string, int) (int, error)
		method, path string
	}{
		{"totals without a database", nil, "GET", "/demo/live"},
		{"applause without a database", nil, "POST", "/demo/applaud"},
		{"a vote without a database", nil, "POST", "/demo/vote"},
		{"totals with a failing database", broken, "GET", "/demo/live"},
		{"totals with a database that fails for votes", poll, "GET", "/demo/live"},
		{"applause with a failing database", broken, "POST", "/demo/applaud"},
		{"a vote with a failing database", broken, "POST", "/demo/vote"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &centrifuge{status: 200, reply: accepted}
			o := c.start(t)
			o.Count = test.count
			expect(t, chat.New(o), test.method, test.path, `{"option":"Assam"}`, 503, databaseError)
			if c.commands != nil {
				t.Errorf("published %v", c.commands)
			}
		})
	}
}

func TestConcurrentApplause(t *testing.T) {
	o := options
	o.Count, o.HTTPURL = new(counters).Count, "http://127.0.0.1:0" // no server there
	h := chat.New(o)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { request(t, h, "POST", "/demo/applaud", "") })
	}
	all.Wait()
	expect(t, h, "GET", "/demo/live", "", 200, fmt.Sprintf(`{"applause":%d,"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":0}}`, 20))
}
