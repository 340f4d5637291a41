package cent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/cent"
)

func TestHistory(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"name": "chat",`, `"name": "chat", "history_size": 3, "history_ttl": "1h",`)})
	c, ctx := client(t, cent.Options{URL: s.HTTPURL}), t.Context()
	history := func(t *testing.T, channel string, o cent.HistoryOptions) ([]cent.Publication, cent.Position) {
		t.Helper()
		publications, top, err := c.History(ctx, channel, o)
		if err != nil {
			t.Fatal(err)
		}
		return publications, top
	}
	if publications, top := history(t, "chat:log", cent.HistoryOptions{Limit: -1}); len(publications) > 0 || top != (cent.Position{}) {
		t.Errorf("before the first publish the history is %v up to %v", publications, top)
	}

	began := time.Now().Truncate(time.Millisecond)
	first, err := c.Publish(ctx, "chat:log", 1, cent.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	epoch := first.Epoch
	if diff := cmp.Diff(cent.Result{Offset: 1, Epoch: epoch}, first); diff != "" || epoch == "" {
		t.Errorf("epoch %q, -expected +got:\n%s", epoch, diff)
	}
	publish := func(data int, o cent.PublishOptions, offset uint64) {
		t.Helper()
		got, err := c.Publish(ctx, "chat:log", data, o)
		if diff := cmp.Diff(cent.Result{Offset: offset, Epoch: epoch}, got); diff != "" || err != nil {
			t.Errorf("publish %d: error %v, -expected +got:\n%s", data, err, diff)
		}
	}
	publish(2, cent.PublishOptions{Tags: map[string]string{"kind": "x"}, IdempotencyKey: "k"}, 2)
	publish(-2, cent.PublishOptions{IdempotencyKey: "k"}, 2)
	alice := join(t, s, "alice", "log")
	if err := alice.Write(ctx, websocket.MessageText, []byte(`{"id":"3","method":"broadcast","params":{"category":"chat","channel":"log","data":{"n":3}}}`)); err != nil {
		t.Fatal(err)
	}
	for { // its own message may come before the reply
		if f := read(t, alice); f["id"] == "3" {
			if f["result"] != true {
				t.Fatalf("the broadcast is refused: %v", f)
			}
			break
		}
	}
	publish(4, cent.PublishOptions{Version: 7, VersionEpoch: "v"}, 4)
	publish(-4, cent.PublishOptions{Version: 7, VersionEpoch: "v"}, 4)
	if got, err := c.Publish(ctx, "chat:log", -5, cent.PublishOptions{SkipHistory: true}); err != nil || got.Offset != 0 || got.Delivered == nil || *got.Delivered != 1 {
		t.Errorf("publish without history: %+v, error %v", got, err)
	}

	t.Run("the publications have their data, tags, publisher, id and time", func(t *testing.T) {
		publications, top := history(t, "chat:log", cent.HistoryOptions{Limit: -1})
		if want := (cent.Position{Offset: 4, Epoch: epoch}); top != want {
			t.Errorf("top %v, expected %v", top, want)
		}
		ids := make(map[string]bool)
		for _, p := range publications {
			ids[p.EventID] = true
			if p.Time().Before(began) || p.Time().After(time.Now()) {
				t.Errorf("offset %d was published at %v", p.Offset, p.Time())
			}
		}
		if len(ids) != 3 {
			t.Errorf("event ids %v", ids)
		}
		info := json.RawMessage(`{"name":"alice"}`)
		if diff := cmp.Diff([]cent.Publication{
			{Data: json.RawMessage("2"), Offset: 2, Tags: map[string]string{"kind": "x"}},
			{Data: json.RawMessage(`{"n":3}`), Offset: 3, Info: &cent.Publisher{User: "alice", Info: info}},
			{Data: json.RawMessage("4"), Offset: 4},
		}, publications, cmpopts.IgnoreFields(cent.Publication{}, "EventID", "Milliseconds"), cmpopts.IgnoreFields(cent.Publisher{}, "Client")); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
		if publications[1].Info.Client == "" {
			t.Error("the publisher has no connection id")
		}
	})
	for _, tt := range []struct {
		name    string
		options cent.HistoryOptions
		want    []string
	}{
		{"limit 0 returns the position alone", cent.HistoryOptions{}, []string{}},
		{"a limit returns the oldest", cent.HistoryOptions{Limit: 2}, []string{"2", "3"}},
		{"reverse returns the newest first", cent.HistoryOptions{Limit: 2, Reverse: true}, []string{"4", "3"}},
		{"since returns what follows", cent.HistoryOptions{Limit: -1, Since: &cent.Position{Offset: 3, Epoch: epoch}}, []string{"4"}},
		{"since with any epoch returns what follows", cent.HistoryOptions{Limit: -1, Since: &cent.Position{Offset: 2}}, []string{"3", "4"}},
		{"since the top returns nothing", cent.HistoryOptions{Limit: -1, Since: &cent.Position{Offset: 4, Epoch: epoch}}, []string{}},
		{"since with reverse returns what precedes", cent.HistoryOptions{Limit: -1, Reverse: true, Since: &cent.Position{Offset: 4, Epoch: epoch}}, []string{"3", "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			publications, top := history(t, "chat:log", tt.options)
			got := make([]string, len(publications))
			for i, p := range publications {
				got[i] = strconv.FormatUint(p.Offset, 10)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || top.Offset != 4 {
				t.Errorf("top %v, -expected +got:\n%s", top, diff)
			}
		})
	}
	for _, tt := range []struct {
		name, channel string
		since         *cent.Position
		code          int
	}{
		{"an epoch that has ended is refused", "chat:log", &cent.Position{Offset: 3, Epoch: "former"}, cent.CodeUnrecoverablePosition},
		{"a category without history is refused", "news:all", nil, cent.CodeNotAvailable},
		{"an unknown category is refused", "nowhere:x", nil, cent.CodeCategoryNotFound},
		{"a category without a name that does not exist is refused", "log", nil, cent.CodeCategoryNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			publications, top, err := c.History(ctx, tt.channel, cent.HistoryOptions{Limit: -1, Since: tt.since})
			if !errors.Is(err, &cent.Error{Code: tt.code}) || publications != nil || top != (cent.Position{}) {
				t.Errorf("%v up to %v, error %v, expected code %d", publications, top, err, tt.code)
			}
		})
	}
	t.Run("a broadcast has a position in each stream", func(t *testing.T) {
		outcomes, err := c.Broadcast(ctx, []string{"chat:log", "chat:other", "news:all"}, 6, cent.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range outcomes {
			got = append(got, fmt.Sprintf("%s %d %t %t", o.Channel, o.Offset, o.Epoch == epoch, o.Delivered != nil))
		}
		if diff := cmp.Diff([]string{"chat:log 5 true false", "chat:other 1 false false", "news:all 0 false true"}, got); diff != "" {
			t.Errorf("channel, offset, its epoch, whether deliveries are counted: -expected +got:\n%s", diff)
		}
	})
	t.Run("a removed history is empty, and offsets go on", func(t *testing.T) {
		if err := c.RemoveHistory(ctx, "chat:log"); err != nil {
			t.Fatal(err)
		}
		publications, top := history(t, "chat:log", cent.HistoryOptions{Limit: -1})
		if want := (cent.Position{Offset: 5, Epoch: epoch}); len(publications) > 0 || top != want {
			t.Errorf("%v up to %v, expected none up to %v", publications, top, want)
		}
		publish(7, cent.PublishOptions{}, 6)
	})
	t.Run("a removal in a category without history is refused", func(t *testing.T) {
		if err := c.RemoveHistory(ctx, "news:all"); !errors.Is(err, &cent.Error{Code: cent.CodeNotAvailable}) {
			t.Errorf("error %v", err)
		}
	})
}
