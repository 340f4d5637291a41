package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/centrifugal/gocent/v3"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/pkg/auth"
)

// The project of seed.json.
const (
	project = "oracle"
	secret  = "oracle-secret"
	apiKey  = "oracle-key"
)

// call is a call of the server API, and how long it took.
type call struct {
	name string
	took time.Duration
}

// caller calls the server API with gocent, whose time-out is a second.
type caller struct {
	*gocent.Client
	calls   int
	slowest call
	// clients are those that gocent lists in the channel room:lobby, by user.
	clients map[string][]string
}

// converse calls every method with the options of gocent, and checks every answer. Two clients
// of ann and one of bob are connected. It returns the slowest of the calls that it made.
func converse(ctx context.Context, s *stack.Stack) (slowest call, calls int, err error) {
	for _, user := range []string{"ann", "ann", "bob"} {
		leave, err := enter(ctx, s.WebSocketURL, user)
		if err != nil {
			return call{}, 0, fmt.Errorf("connect %s: %w", user, err)
		}
		defer leave()
	}
	c := &caller{Client: gocent.New(gocent.Config{Addr: s.HTTPURL + "/api", Key: apiKey})}
	// The first call of a process is not measured: it reads the project.
	if _, err := c.Info(ctx); err != nil {
		return call{}, 0, err
	}
	for _, step := range []func(context.Context) error{c.publishes, c.histories, c.reads, c.pipes, c.refusals, c.ends} {
		if err := step(ctx); err != nil {
			return call{}, 0, err
		}
	}
	other := gocent.New(gocent.Config{Addr: s.HTTPURL + "/api", Key: "another"})
	var status gocent.ErrStatusCode
	if _, err := other.Info(ctx); !errors.As(err, &status) || status.Code != 401 {
		return call{}, 0, fmt.Errorf("info with a wrong key: %w, expected status 401", err)
	}
	return c.slowest, c.calls, nil
}

// enter connects a user with the classic protocol and subscribes to room:lobby and news:all.
func enter(ctx context.Context, url, user string) (leave func(), err error) {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	for _, frame := range []string{
		fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":%q,"project_id":%q,"permissions":{}}}`, auth.SignToken(secret, user, project), user, project),
		`{"method":"subscribe","params":{"to":{"room":["lobby"],"news":["all"]}}}`,
	} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			return nil, err
		}
		_, reply, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(reply), `"result":true`) {
			return nil, fmt.Errorf("%s was answered %s", frame, reply)
		}
	}
	go func() {
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				return
			}
		}
	}()
	return func() { _ = conn.CloseNow() }, nil
}

// expect makes a call and compares its result.
func expect[T any](c *caller, name string, want T, do func() (T, error)) error {
	began := time.Now()
	got, err := do()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-expected +got):\n%s", name, diff)
	}
	if c.calls++; took > c.slowest.took {
		c.slowest = call{name, took}
	}
	return nil
}

// done is the result of a call without one.
func done(err error) (struct{}, error) { return struct{}{}, err }

// refused makes a call that must fail with an error of this code.
func refused(c *caller, name string, code int, do func() error) error {
	return expect(c, name, code, func() (int, error) {
		err := do()
		var e *gocent.Error
		if !errors.As(err, &e) {
			return 0, err
		}
		return e.Code, nil
	})
}

func (c *caller) publishes(ctx context.Context) error {
	direct := gocent.PublishResult{}
	publish := func(channel, data string, options ...gocent.PublishOption) func() (gocent.PublishResult, error) {
		return func() (gocent.PublishResult, error) { return c.Publish(ctx, channel, []byte(data), options...) }
	}
	first, err := c.Publish(ctx, "log:a", []byte(`{"n":1}`), gocent.WithTags(map[string]string{"a": "b"}), gocent.WithIdempotencyKey("k"))
	if err != nil || first.Offset != 1 || first.Epoch == "" {
		return fmt.Errorf("publish to a stream: %+v, %w", first, err)
	}
	at := func(offset uint64) gocent.PublishResult {
		return gocent.PublishResult{Offset: offset, Epoch: first.Epoch}
	}
	inBase64 := gocent.WithB64data(base64.StdEncoding.EncodeToString([]byte(`{"n":3}`)))
	return errors.Join(
		expect(c, "publish", direct, publish("news:all", `{"text":"hello"}`)),
		expect(c, "publish with a repeated idempotency key", at(1), publish("log:a", `{"n":1}`, gocent.WithIdempotencyKey("k"))),
		expect(c, "publish with a version", at(2), publish("log:a", `{"n":2}`, gocent.WithVersion(2), gocent.WithVersionEpoch("v"))),
		expect(c, "publish with an old version", at(2), publish("log:a", `{"n":2}`, gocent.WithVersion(1), gocent.WithVersionEpoch("v"))),
		expect(c, "publish of base64", at(3), func() (gocent.PublishResult, error) { return c.Publish(ctx, "log:a", nil, inBase64) }),
		expect(c, "publish with a delta", at(4), publish("log:a", `{"n":4}`, gocent.WithDelta(true))),
		expect(c, "publish without history", direct, publish("log:a", `{"n":5}`, gocent.WithSkipHistory(true))),
		expect(c, "broadcast", gocent.BroadcastResult{Responses: []gocent.PublishResponse{
			{Result: &direct}, {Result: new(at(5))}, {Error: &gocent.Error{Code: 102, Message: "category not found: create the category, or correct its name"}},
		}}, func() (gocent.BroadcastResult, error) {
			return c.Broadcast(ctx, []string{"news:all", "log:a", "nowhere:x"}, []byte(`{"n":5}`))
		}),
	)
}

func (c *caller) histories(ctx context.Context) error {
	top, err := c.History(ctx, "log:a")
	if err != nil || top.Offset != 5 || len(top.Publications) != 0 {
		return fmt.Errorf("history: %+v, %w", top, err)
	}
	history := func(name string, offsets []uint64, options ...gocent.HistoryOption) error {
		want := gocent.HistoryResult{Publications: []gocent.Publication{}, Offset: 5, Epoch: top.Epoch}
		for _, offset := range offsets {
			want.Publications = append(want.Publications, gocent.Publication{Offset: offset, Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, offset))})
		}
		return expect(c, name, want, func() (gocent.HistoryResult, error) { return c.History(ctx, "log:a", options...) })
	}
	since := gocent.WithSince(&gocent.StreamPosition{Offset: 3, Epoch: top.Epoch})
	return errors.Join(
		history("history without a limit", []uint64{1, 2, 3, 4, 5}, gocent.WithLimit(gocent.NoLimit)),
		history("history since a position", []uint64{4, 5}, gocent.WithLimit(10), since),
		history("history from the beginning", []uint64{1, 2}, gocent.WithLimit(2), gocent.WithSince(&gocent.StreamPosition{Epoch: top.Epoch})),
		history("history in reverse", []uint64{2, 1}, gocent.WithLimit(10), since, gocent.WithReverse(true)),
		refused(c, "history since another epoch", 112, func() error {
			_, err := c.History(ctx, "log:a", gocent.WithLimit(1), gocent.WithSince(&gocent.StreamPosition{Offset: 1, Epoch: "another"}))
			return err
		}),
		expect(c, "history_remove", struct{}{}, func() (struct{}, error) { return done(c.HistoryRemove(ctx, "log:a")) }),
		history("history after its removal", nil, gocent.WithLimit(gocent.NoLimit)),
	)
}

func (c *caller) reads(ctx context.Context) error {
	present, err := c.Presence(ctx, "room:lobby")
	if err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	c.clients = make(map[string][]string)
	for _, id := range slices.Sorted(maps.Keys(present.Presence)) {
		info := present.Presence[id]
		if info.Client != id {
			return fmt.Errorf("presence: %s is listed as %s", info.Client, id)
		}
		c.clients[info.User] = append(c.clients[info.User], id)
	}
	if len(c.clients["ann"]) != 2 || len(c.clients["bob"]) != 1 {
		return fmt.Errorf("presence: %v", c.clients)
	}
	return errors.Join(
		expect(c, "presence of an empty channel", gocent.PresenceResult{Presence: map[string]gocent.ClientInfo{}},
			func() (gocent.PresenceResult, error) { return c.Presence(ctx, "room:empty") }),
		expect(c, "presence_stats", gocent.PresenceStatsResult{NumUsers: 2, NumClients: 3},
			func() (gocent.PresenceStatsResult, error) { return c.PresenceStats(ctx, "room:lobby") }),
		// gocent reads a number of users that Centrifugo does not send.
		expect(c, "channels", gocent.ChannelsResult{Channels: map[string]gocent.ChannelInfo{"news:all": {}, "room:lobby": {}}},
			func() (gocent.ChannelsResult, error) { return c.Channels(ctx) }),
		expect(c, "channels of a pattern", gocent.ChannelsResult{Channels: map[string]gocent.ChannelInfo{"news:all": {}}},
			func() (gocent.ChannelsResult, error) { return c.Channels(ctx, gocent.WithPattern("news:*")) }),
		expect(c, "info", [3]int{3, 2, 2}, func() ([3]int, error) {
			info, err := c.Info(ctx)
			if err != nil || len(info.Nodes) != 1 {
				return [3]int{}, fmt.Errorf("%+v, %w", info, err)
			}
			n := info.Nodes[0]
			return [3]int{n.NumClients, n.NumUsers, n.NumChannels}, nil
		}),
	)
}

func (c *caller) pipes(ctx context.Context) error {
	pipe := c.Pipe()
	if err := errors.Join(
		pipe.AddPublish("news:all", []byte(`1`)), pipe.AddPublish("nowhere:x", []byte(`1`)), pipe.AddPresenceStats("room:empty"), pipe.AddHistoryRemove("log:a"),
	); err != nil {
		return err
	}
	return expect(c, "a pipe", []string{`{"delivered":3}`, "102", `{"num_clients":0,"num_users":0}`, `{}`}, func() (answers []string, err error) {
		replies, err := c.SendPipe(ctx, pipe)
		for _, r := range replies {
			if r.Error != nil {
				answers = append(answers, strconv.Itoa(r.Error.Code))
			} else {
				answers = append(answers, string(r.Result))
			}
		}
		return answers, err
	})
}

func (c *caller) refusals(ctx context.Context) error {
	return errors.Join(
		refused(c, "publish to an unknown category", 102, func() error {
			_, err := c.Publish(ctx, "nowhere:x", []byte(`1`))
			return err
		}),
		refused(c, "publish of base64 that is no JSON", 107, func() error {
			_, err := c.Publish(ctx, "news:all", nil, gocent.WithB64data("AAE="))
			return err
		}),
		refused(c, "presence in a category without it", 108, func() error {
			_, err := c.Presence(ctx, "news:all")
			return err
		}),
		refused(c, "subscribe in an unknown category", 102, func() error {
			return c.Subscribe(ctx, "nowhere:lobby", "ann", gocent.WithPresence(true), gocent.WithRecover(true),
				gocent.WithSubscribeInfo(json.RawMessage(`{"a":1}`)), gocent.WithRecoverSince(&gocent.StreamPosition{Offset: 1}))
		}),
	)
}

func (c *caller) ends(ctx context.Context) error {
	ann, bob := c.clients["ann"], c.clients["bob"]
	present := func(clients ...string) error {
		return expect(c, "presence", clients, func() ([]string, error) {
			p, err := c.Presence(ctx, "room:lobby")
			return slices.Sorted(maps.Keys(p.Presence)), err
		})
	}
	end := func(name string, do func() error) error {
		return expect(c, name, struct{}{}, func() (struct{}, error) { return done(do()) })
	}
	both := slices.Sorted(slices.Values([]string{ann[1], bob[0]}))
	return errors.Join(
		end("unsubscribe of a client", func() error { return c.Unsubscribe(ctx, "room:lobby", "ann", gocent.WithUnsubscribeClient(ann[0])) }),
		present(both...),
		end("disconnect of all but one", func() error {
			return c.Disconnect(ctx, "ann", gocent.WithDisconnectClientWhitelist(ann[1:]), gocent.WithDisconnect(&gocent.Disconnect{Code: 4000, Reason: "bye"}))
		}),
		present(both...),
		end("disconnect of a client of another user", func() error { return c.Disconnect(ctx, "ann", gocent.WithDisconnectClient(bob[0])) }),
		present(both...),
		end("unsubscribe of a user", func() error { return c.Unsubscribe(ctx, "room:lobby", "ann") }),
		present(bob[0]),
		end("disconnect of a user", func() error { return c.Disconnect(ctx, "bob") }),
		present([]string(nil)...),
	)
}
