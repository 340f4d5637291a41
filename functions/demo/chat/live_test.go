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

// TestLive is one evening: every step builds on those before it.
func TestLive(t *testing.T) {
	const noTea = `{"error":"there is no such tea"}`
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
		{"everything starts at nothing", "GET", "/demo/live", ``, 200,
			`{"applause":0,"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":0}}`, nil},
		{"applause is counted, published and answered", "POST", "/demo/applaud", `{}`, 200, `{"applause":1}`,
			published("counter", `{"applause":1}`)},
		{"and needs no body", "POST", "/demo/applaud", ``, 200, `{"applause":2}`, published("counter", `{"applause":2}`)},
		{"a vote publishes the totals of all teas", "POST", "/demo/vote", `{"option":"Sencha"}`, 200,
			`{"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":1}}`,
			published("poll", `{"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":1}}`)},
		{"a vote for another tea adds to it", "POST", "/demo/vote", `{"option":"Earl Grey"}`, 200,
			`{"votes":{"Assam":0,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`,
			published("poll", `{"votes":{"Assam":0,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`)},
		{"coffee is refused", "POST", "/demo/vote", `{"option":"Coffee"}`, 400, noTea, nil},
		{"so is no tea", "POST", "/demo/vote", `{}`, 400, noTea, nil},
		{"so is what is not JSON", "POST", "/demo/vote", `Assam`, 400, badRequest, nil},
		{"asking counts nothing", "GET", "/demo/live", ``, 200,
			`{"applause":2,"votes":{"Assam":0,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			c.commands = nil
			answers(t, h, step.method, step.path, step.body, step.status, step.want)
			if diff := cmp.Diff(step.commands, c.commands); diff != "" {
				t.Errorf("commands:\n%s", diff)
			}
		})
	}
	t.Run("what could not be published is said, and stays counted", func(t *testing.T) {
		c.reply = `{"id":null,"error":"category not found","result":null}`
		answers(t, h, "POST", "/demo/applaud", ``, 502, `{"error":"Centrifuge refused: category not found"}`)
		answers(t, h, "POST", "/demo/vote", `{"option":"Assam"}`, 502, `{"error":"Centrifuge refused: category not found"}`)
		answers(t, h, "GET", "/demo/live", ``, 200, `{"applause":3,"votes":{"Assam":1,"Earl Grey":1,"Rooibos":0,"Sencha":1}}`)
	})
}

func TestNothingToCountWith(t *testing.T) {
	broken := func(context.Context, string, int) (int, error) { return 0, errors.New("the table is on fire") }
	poll := func(_ context.Context, name string, _ int) (int, error) {
		if name == "applause" {
			return 0, nil
		}
		return 0, errors.New("the table is on fire")
	}
	for _, test := range []struct {
		name         string
		count        func(context.Context, string, int) (int, error)
		method, path string
	}{
		{"without a database there are no totals", nil, "GET", "/demo/live"},
		{"without a database nobody can applaud", nil, "POST", "/demo/applaud"},
		{"without a database nobody can vote", nil, "POST", "/demo/vote"},
		{"a database that fails has no totals", broken, "GET", "/demo/live"},
		{"nor has one that fails later", poll, "GET", "/demo/live"},
		{"a database that fails takes no applause", broken, "POST", "/demo/applaud"},
		{"a database that fails takes no vote", broken, "POST", "/demo/vote"},
	} {
		t.Run(test.name+", and nothing is published", func(t *testing.T) {
			c := &centrifuge{status: 200, reply: accepted}
			o := c.start(t)
			o.Count = test.count
			answers(t, chat.New(o), test.method, test.path, `{"option":"Assam"}`, 503, uncounted)
			if c.commands != nil {
				t.Errorf("published %v", c.commands)
			}
		})
	}
}

func TestManyApplaudAtOnce(t *testing.T) {
	o := options
	o.Count, o.HTTPURL = new(numbers).Count, "http://127.0.0.1:0" // nobody listens there
	h := chat.New(o)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { ask(t, h, "POST", "/demo/applaud", "") })
	}
	all.Wait()
	answers(t, h, "GET", "/demo/live", "", 200, fmt.Sprintf(`{"applause":%d,"votes":{"Assam":0,"Earl Grey":0,"Rooibos":0,"Sencha":0}}`, 20))
}
