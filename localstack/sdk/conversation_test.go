package sdk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/centrifugal/gocent/v3"
	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
)

// conversations are what clients of centrifuge-go do on every stack, at the same time. Each has
// channels and users of its own, whose names have id.
var conversations = map[string]func(t *testing.T, r rig, id string){
	"publish":                                publish,
	"refusals":                               refusals,
	"presence":                               presence,
	"join and leave":                         joinAndLeave,
	"history":                                history,
	"recovery after a cut":                   recovery,
	"recovery of the newest message":         cache,
	"subscription after a cut":               afterCut,
	"refresh of a connection":                refresh,
	"expired token":                          expiredToken,
	"refused connections":                    refusedConnections,
	"private channel":                        private,
	"refresh of a subscription":              subscriptionRefresh,
	"user-limited channel":                   userLimited,
	"subscriptions by the token":             byToken,
	"subscription by the server API":         byServer,
	"stream by the server API":               streamByServer,
	"unsubscribe by the server API":          unsubscribeByServer,
	"terminal disconnect by the server API":  terminalDisconnect,
	"reconnectable disconnect by the server": reconnectableDisconnect,
	"subscribe and unsubscribe in a row":     races,
	"33 subscriptions at once":               many,
	"33 subscriptions to streams at once":    manyStreams,
	"a classic client in the channel":        classicClient,
	"commands right after connect":           pipelined,
	"rpc and send without an application":    noApplication,
	"subscription without a token":           unauthorized,
}

func publish(t *testing.T, r rig, id string) {
	ann, bob := r.connect(t, "ann-"+id), r.connect(t, "bob-"+id)
	channel := "chat:" + id
	sub := ann.subscribe(t, channel)
	for n := range 5 {
		if _, err := bob.Publish(bounded(t), channel, encode(t, n)); err != nil {
			t.Fatal(err)
		}
		p := sub.published.next(t, "publication")
		if string(p.Data) != fmt.Sprint(n) || p.Info == nil || p.Info.User != "bob-"+id || string(p.Info.ConnInfo) != `{"name":"bob-`+id+`"}` || p.Offset != 0 {
			t.Errorf("got %s from %+v at %d", p.Data, p.Info, p.Offset)
		}
	}
	// A subscriber receives what it publishes itself.
	if _, err := sub.Publish(bounded(t), encode(t, "mine")); err != nil {
		t.Fatal(err)
	}
	sub.expect(t, `"mine"`)
	if _, err := r.api.Publish(bounded(t), channel, []byte(`{"of":"the application"}`), gocent.WithTags(map[string]string{"a": "b"})); err != nil {
		t.Fatal(err)
	}
	p := sub.published.next(t, "publication of the application")
	if string(p.Data) != `{"of":"the application"}` || p.Info != nil || p.Tags["a"] != "b" {
		t.Errorf("got %s from %+v with %v", p.Data, p.Info, p.Tags)
	}
}

func refusals(t *testing.T, r rig, id string) {
	ann := r.connect(t, "ann-"+id)
	for name, call := range map[string]struct {
		do   func() error
		code uint32
	}{
		"publish without the right":            {func() error { _, err := ann.Publish(bounded(t), "news:"+id, []byte(`1`)); return err }, 103},
		"publish to an unknown category":       {func() error { _, err := ann.Publish(bounded(t), "nowhere:"+id, []byte(`1`)); return err }, 102},
		"presence of a category without":       {func() error { _, err := ann.Presence(bounded(t), "news:"+id); return err }, 108},
		"presence stats of a category without": {func() error { _, err := ann.PresenceStats(bounded(t), "news:"+id); return err }, 108},
		"history of a category without":        {func() error { _, err := ann.History(bounded(t), "chat:"+id); return err }, 108},
	} {
		if err := call.do(); code(err) != call.code {
			t.Errorf("%s: %v, expected code %d", name, err, call.code)
		}
	}
	for channel, want := range map[string]uint32{"nowhere:" + id: 102, "$chat:" + id: 103} {
		sub := ann.subscription(t, channel, centrifuge.SubscriptionConfig{})
		if err := sub.Subscribe(); err != nil {
			t.Fatal(err)
		}
		if e := sub.unsubscribed.next(t, "unsubscribed"); e.Code != want {
			t.Errorf("subscribe to %s: %+v, expected code %d", channel, e, want)
		}
	}
}

func presence(t *testing.T, r rig, id string) {
	channel := "chat:" + id
	ann, again, bob := r.connect(t, "ann-"+id), r.connect(t, "ann-"+id), r.connect(t, "bob-"+id)
	subs := []*subscription{ann.subscribe(t, channel), again.subscribe(t, channel), bob.subscribe(t, channel)}
	p, err := subs[0].Presence(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"ann-" + id: 2, "bob-" + id: 1}, users(p)); diff != "" {
		t.Errorf("presence (-want +got):\n%s", diff)
	}
	for client, info := range p.Clients {
		if info.Client != client || string(info.ConnInfo) != `{"name":"`+info.User+`"}` {
			t.Errorf("%s is listed as %+v", client, info)
		}
	}
	stats := func(clients, users int) {
		t.Helper()
		got, err := ann.PresenceStats(bounded(t), channel)
		if err != nil || got.NumClients != clients || got.NumUsers != users {
			t.Errorf("presence stats %+v, %v, expected %d clients of %d users", got, err, clients, users)
		}
	}
	stats(3, 2)
	if err := subs[1].Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	// The reply to a later command of the same client says that this one was carried out.
	other := again.subscribe(t, "chat:other-"+id)
	defer func() { _ = other.Unsubscribe() }()
	eventually(t, func() bool {
		p, err := ann.Presence(bounded(t), channel)
		return err == nil && cmp.Equal(users(p), map[string]int{"ann-" + id: 1, "bob-" + id: 1})
	})
	bob.network.cut(true)
	eventually(t, func() bool {
		p, err := ann.Presence(bounded(t), channel)
		return err == nil && cmp.Equal(users(p), map[string]int{"ann-" + id: 1})
	})
}

// eventually asks until the answer is yes: for what happens after the reply.
func eventually(t *testing.T, ask func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	ctx := bounded(t)
	for !ask() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %v", limit)
		}
	}
}

func joinAndLeave(t *testing.T, r rig, id string) {
	channel := "chat:" + id
	ann, bob, eve := r.connect(t, "ann-"+id), r.connect(t, "bob-"+id), r.connect(t, "eve-"+id)
	sub := ann.subscribe(t, channel, centrifuge.SubscriptionConfig{JoinLeave: true})
	if j := sub.joins.next(t, "own join"); j.User != "ann-"+id {
		t.Errorf("join of %+v", j)
	}
	silent := eve.subscribe(t, channel)
	if j := sub.joins.next(t, "join of eve"); j.User != "eve-"+id {
		t.Errorf("join of %+v", j)
	}
	bobs := bob.subscribe(t, channel)
	if j := sub.joins.next(t, "join of bob"); j.User != "bob-"+id || string(j.ConnInfo) != `{"name":"bob-`+id+`"}` {
		t.Errorf("join of %+v", j)
	}
	if err := bobs.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if l := sub.leaves.next(t, "leave of bob"); l.User != "bob-"+id {
		t.Errorf("leave of %+v", l)
	}
	eve.network.cut(true)
	if l := sub.leaves.next(t, "leave of eve"); l.User != "eve-"+id {
		t.Errorf("leave of %+v", l)
	}
	if n := len(silent.joins) + len(silent.leaves); n != 0 {
		t.Errorf("%d joins and leaves reached a client that did not ask for them", n)
	}
}

func history(t *testing.T, r rig, id string) {
	channel := "log:" + id
	r.publish(t, channel, "1", "2", "3", "4", "5")
	ann := r.connect(t, "ann-"+id)
	top, err := ann.History(bounded(t), channel)
	if err != nil || top.Offset != 5 || top.Epoch == "" || len(top.Publications) != 0 {
		t.Fatalf("history without a limit: %+v, %v", top, err)
	}
	since := centrifuge.WithHistorySince(&centrifuge.StreamPosition{Offset: 3, Epoch: top.Epoch})
	for name, tt := range map[string]struct {
		options []centrifuge.HistoryOption
		want    []string
	}{
		"all":               {[]centrifuge.HistoryOption{centrifuge.WithHistoryLimit(-1)}, []string{"1", "2", "3", "4", "5"}},
		"the first two":     {[]centrifuge.HistoryOption{centrifuge.WithHistoryLimit(2)}, []string{"1", "2"}},
		"the last two":      {[]centrifuge.HistoryOption{centrifuge.WithHistoryLimit(2), centrifuge.WithHistoryReverse(true)}, []string{"5", "4"}},
		"after a position":  {[]centrifuge.HistoryOption{centrifuge.WithHistoryLimit(-1), since}, []string{"4", "5"}},
		"before a position": {[]centrifuge.HistoryOption{centrifuge.WithHistoryLimit(-1), since, centrifuge.WithHistoryReverse(true)}, []string{"2", "1"}},
	} {
		got, err := ann.History(bounded(t), channel, tt.options...)
		var data []string
		for _, p := range got.Publications {
			data = append(data, string(p.Data))
			if string(p.Data) != fmt.Sprint(p.Offset) {
				t.Errorf("%s: %s at %d", name, p.Data, p.Offset)
			}
		}
		if err != nil || !slices.Equal(data, tt.want) || got.Offset != 5 || got.Epoch != top.Epoch {
			t.Errorf("%s: %v at %d in %s, %v, expected %v", name, data, got.Offset, got.Epoch, err, tt.want)
		}
	}
	_, err = ann.History(bounded(t), channel, centrifuge.WithHistoryLimit(1), centrifuge.WithHistorySince(&centrifuge.StreamPosition{Offset: 1, Epoch: "another"}))
	if code(err) != 112 {
		t.Errorf("history since another epoch: %v, expected code 112", err)
	}
}

// positions fails where publications do not have the offsets that follow each other.
func positions(t *testing.T, s *subscription, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		p := s.published.next(t, fmt.Sprintf("publication %d", n))
		if string(p.Data) != fmt.Sprint(n) || p.Offset != uint64(n) { //nolint:gosec // small
			t.Fatalf("got %s at %d, expected %d", p.Data, p.Offset, n)
		}
	}
}

func recovery(t *testing.T, r rig, id string) {
	channel := "log:" + id
	r.publish(t, channel, "1")
	ann := r.connect(t, "ann-"+id)
	sub := ann.subscription(t, channel, centrifuge.SubscriptionConfig{})
	if e := sub.subscribe(t); !e.Recoverable || !e.Positioned || e.WasRecovering || e.StreamPosition == nil || e.StreamPosition.Offset != 1 {
		t.Fatalf("subscribed %+v at %+v", e, e.StreamPosition)
	}
	next := 2
	for round := range 3 {
		r.publish(t, channel, fmt.Sprint(next), fmt.Sprint(next+1))
		positions(t, sub, next, next+1)
		ann.network.cut(true)
		ann.connecting.next(t, "connecting")
		r.publish(t, channel, fmt.Sprint(next+2), fmt.Sprint(next+3))
		ann.network.up()
		if e := sub.subscribed.next(t, "subscribed again"); !e.WasRecovering || !e.Recovered {
			t.Fatalf("round %d: subscribed %+v", round, e)
		}
		positions(t, sub, next+2, next+3)
		next += 4
	}
	// While the network comes and goes.
	for range 3 {
		r.publish(t, channel, fmt.Sprint(next), fmt.Sprint(next+1))
		ann.network.cut(false)
		r.publish(t, channel, fmt.Sprint(next+2), fmt.Sprint(next+3))
		positions(t, sub, next, next+3)
		next += 4
	}
	// The publisher's own offsets go on.
	if _, err := ann.Publish(bounded(t), channel, encode(t, next)); err != nil {
		t.Fatal(err)
	}
	positions(t, sub, next, next)
	// What is gone cannot be recovered.
	ann.network.cut(true)
	ann.connecting.next(t, "connecting")
	r.publish(t, channel, fmt.Sprint(next+1))
	if err := r.api.HistoryRemove(bounded(t), channel); err != nil {
		t.Fatal(err)
	}
	ann.network.up()
	for {
		e := sub.subscribed.next(t, "subscribed after the removal")
		if !e.WasRecovering || e.Recovered {
			continue // of a reconnect before
		}
		break
	}
	r.publish(t, channel, fmt.Sprint(next+2))
	positions(t, sub, next+2, next+2)
}

func cache(t *testing.T, r rig, id string) {
	channel := "last:" + id
	r.publish(t, channel, "1", "2")
	ann := r.connect(t, "ann-"+id)
	sub := ann.subscribe(t, channel)
	positions(t, sub, 2, 2)
	r.publish(t, channel, "3")
	positions(t, sub, 3, 3)
	ann.network.cut(true)
	ann.connecting.next(t, "connecting")
	r.publish(t, channel, "4", "5")
	ann.network.up()
	positions(t, sub, 5, 5)
}

func afterCut(t *testing.T, r rig, id string) {
	ann := r.connect(t, "ann-"+id)
	sub := ann.subscribe(t, "chat:"+id)
	for n := range 3 {
		ann.network.cut(false)
		sub.subscribed.next(t, "subscribed again")
		r.publish(t, "chat:"+id, fmt.Sprint(n))
		sub.expect(t, fmt.Sprint(n))
	}
}

// expiring returns tokens that live for some seconds, and counts them.
func expiring(t *testing.T, claims jwt.MapClaims) (get func() (string, error), asked events[struct{}]) {
	asked = newEvents[struct{}]()
	return func() (string, error) {
		asked.add(struct{}{})
		all := jwt.MapClaims{"exp": time.Now().Add(6 * time.Second).Unix()}
		for name, value := range claims {
			all[name] = value
		}
		return token(t, all), nil
	}, asked
}

func refresh(t *testing.T, r rig, id string) {
	get, asked := expiring(t, jwt.MapClaims{"sub": "ann-" + id})
	ann := r.client(t, centrifuge.Config{GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) { return get() }})
	ann.connect(t)
	sub := ann.subscribe(t, "chat:"+id)
	for range 3 { // longer than one token lives
		asked.next(t, "request for a token")
	}
	r.publish(t, "chat:"+id, "1")
	sub.expect(t, "1")
	if len(ann.connected) > 0 || len(ann.errors) > 0 {
		t.Errorf("%d reconnects, %d errors", len(ann.connected), len(ann.errors))
	}
}

func expiredToken(t *testing.T, r rig, id string) {
	expired := token(t, jwt.MapClaims{"sub": "ann-" + id, "exp": time.Now().Add(-time.Minute).Unix()})
	ann := r.client(t, centrifuge.Config{Token: expired, GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
		return token(t, jwt.MapClaims{"sub": "ann-" + id}), nil
	}})
	ann.connect(t)
	ann.subscribe(t, "chat:"+id)
}

func refusedConnections(t *testing.T, r rig, id string) {
	another, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann"}).SignedString([]byte("another secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url, token string
		code       uint32
	}{
		"token of another secret": {"?project=" + projectID, another, 3500},
		"subscription token":      {"?project=" + projectID, token(t, jwt.MapClaims{"sub": "ann", "channel": "chat:" + id}), 3500},
		"token that is no JWT":    {"?project=" + projectID, "no token", 3500},
		"no token":                {"?project=" + projectID, "", 3501},
	} {
		c := newClient(t, r.WebSocketURL+tt.url, centrifuge.Config{Token: tt.token})
		if err := c.Connect(); err != nil {
			t.Fatal(err)
		}
		if e := c.disconnected.next(t, "disconnected"); e.Code != tt.code {
			t.Errorf("%s: %+v, expected code %d", name, e, tt.code)
		}
	}
	// The URL of Centrifugo, and a project that requires no token.
	address := r.WebSocketURL
	if _, lacks := r.Lacks[centrifugoPath]; !lacks {
		address = strings.Replace(address, "/dev", "/connection/websocket", 1)
	}
	c := newClient(t, address+"?project="+insecure, centrifuge.Config{})
	c.connect(t)
}

func private(t *testing.T, r rig, id string) {
	channel := "$chat:" + id
	ann, bob := r.connect(t, "ann-"+id), r.connect(t, "bob-"+id)
	sub := ann.subscribe(t, channel, centrifuge.SubscriptionConfig{
		Token: token(t, jwt.MapClaims{"sub": "ann-" + id, "channel": channel, "info": map[string]int{"seat": 7}}),
	})
	r.publish(t, channel, "1")
	sub.expect(t, "1")
	p, err := sub.Presence(bounded(t))
	if err != nil || len(p.Clients) != 1 {
		t.Fatalf("presence %+v, %v", p, err)
	}
	for _, c := range p.Clients {
		if string(c.ChanInfo) != `{"seat":7}` {
			t.Errorf("presence has %s of the subscription", c.ChanInfo)
		}
	}
	asked := newEvents[string]()
	bobs := bob.subscription(t, channel, centrifuge.SubscriptionConfig{
		Token: token(t, jwt.MapClaims{"sub": "bob-" + id, "channel": channel, "exp": time.Now().Add(-time.Minute).Unix()}),
		GetToken: func(e centrifuge.SubscriptionTokenEvent) (string, error) {
			asked.add(e.Channel)
			return token(t, jwt.MapClaims{"sub": "bob-" + id, "channel": channel}), nil
		},
	})
	bobs.subscribe(t) // with the second token
	if got := asked.next(t, "request for a token"); got != channel {
		t.Errorf("asked for a token of %s", got)
	}
	if _, err := sub.Publish(bounded(t), encode(t, 2)); err != nil {
		t.Fatal(err)
	}
	bobs.expect(t, "2")
	// A token of another user ends the connection, one that is not valid the subscription.
	for claims, want := range map[string]uint32{"another user": 3500, "no token": 103} {
		c := r.connect(t, "eve-"+id)
		text := "no token"
		if claims == "another user" {
			text = token(t, jwt.MapClaims{"sub": "bob-" + id, "channel": channel})
		}
		sub := c.subscription(t, channel, centrifuge.SubscriptionConfig{Token: text})
		if err := sub.Subscribe(); err != nil {
			t.Fatal(err)
		}
		if want == 103 {
			if e := sub.unsubscribed.next(t, "unsubscribed"); e.Code != want {
				t.Errorf("%s: %+v, expected code %d", claims, e, want)
			}
		} else if e := c.disconnected.next(t, "disconnected"); e.Code != want {
			t.Errorf("%s: %+v, expected code %d", claims, e, want)
		}
	}
}

func subscriptionRefresh(t *testing.T, r rig, id string) {
	channel := "$chat:" + id
	get, asked := expiring(t, jwt.MapClaims{"sub": "ann-" + id, "channel": channel})
	ann := r.connect(t, "ann-"+id)
	sub := ann.subscribe(t, channel, centrifuge.SubscriptionConfig{GetToken: func(centrifuge.SubscriptionTokenEvent) (string, error) { return get() }})
	for range 3 { // longer than one token lives
		asked.next(t, "request for a token")
	}
	r.publish(t, channel, "1")
	sub.expect(t, "1")
	if len(sub.subscribed) > 0 || len(sub.errors) > 0 {
		t.Errorf("%d resubscriptions, %d errors", len(sub.subscribed), len(sub.errors))
	}
}

func userLimited(t *testing.T, r rig, id string) {
	channel := "chat:dialog#ann-" + id + ",bob-" + id
	ann, bob, eve := r.connect(t, "ann-"+id), r.connect(t, "bob-"+id), r.connect(t, "eve-"+id)
	sub := ann.subscribe(t, channel)
	bob.subscribe(t, channel)
	if _, err := bob.Publish(bounded(t), channel, encode(t, "hello")); err != nil {
		t.Fatal(err)
	}
	sub.expect(t, `"hello"`)
	eves := eve.subscription(t, channel, centrifuge.SubscriptionConfig{})
	if err := eves.Subscribe(); err != nil {
		t.Fatal(err)
	}
	if e := eves.unsubscribed.next(t, "unsubscribed"); e.Code != 103 {
		t.Errorf("%+v, expected code 103", e)
	}
}

func byToken(t *testing.T, r rig, id string) {
	bob := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": "bob-" + id, "channels": []string{"news:" + id}})})
	bob.connect(t)
	bob.next(t, "news:"+id)
	ann := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{
		"sub":  "ann-" + id,
		"subs": map[string]any{"news:" + id: map[string]any{}, "log:" + id: map[string]any{"data": map[string]int{"for": 1}}},
	})})
	ann.connect(t)
	personal := "#ann-" + id
	got := make(map[string]centrifuge.ServerSubscribedEvent)
	for range 3 {
		e := ann.subscribed.next(t, "subscribed by the server")
		got[e.Channel] = e
	}
	if e, ok := got["log:"+id]; !ok || !e.Recoverable || string(e.Data) != `{"for":1}` {
		t.Errorf("subscribed to a stream: %+v", e)
	}
	for _, channel := range []string{"news:" + id, "log:" + id, personal} {
		r.publish(t, channel, "1")
		if p := ann.published.next(t, "publication"); p.Channel != channel || string(p.Data) != "1" {
			t.Errorf("got %s in %s, expected it in %s", p.Data, p.Channel, channel)
		}
	}
	ann.network.cut(true)
	ann.connecting.next(t, "connecting")
	r.publish(t, "log:"+id, "2", "3")
	ann.network.up()
	for n := 2; n <= 3; n++ {
		if p := ann.published.next(t, "recovered publication"); p.Channel != "log:"+id || string(p.Data) != fmt.Sprint(n) || p.Offset != uint64(n) { //nolint:gosec // small
			t.Errorf("recovered %s at %d in %s", p.Data, p.Offset, p.Channel)
		}
	}
}

// next returns the next subscription by the server to a channel.
func (c *client) next(t *testing.T, channel string) centrifuge.ServerSubscribedEvent {
	t.Helper()
	for {
		if e := c.subscribed.next(t, "subscribed to "+channel+" by the server"); e.Channel == channel {
			return e
		}
	}
}

func byServer(t *testing.T, r rig, id string) {
	channel := "chat:" + id
	ann, again := r.connect(t, "ann-"+id), r.connect(t, "ann-"+id)
	eventually(t, func() bool { // until both are found by their user
		if err := r.api.Subscribe(bounded(t), channel, "ann-"+id, gocent.WithSubscribeData([]byte(`{"a":1}`))); err != nil {
			t.Fatal(err)
		}
		stats, err := r.api.PresenceStats(bounded(t), channel)
		return err == nil && stats.NumClients == 2
	})
	for _, c := range []*client{ann, again} {
		if e := c.next(t, channel); string(e.Data) != `{"a":1}` {
			t.Errorf("subscribed with %s", e.Data)
		}
	}
	r.publish(t, channel, "1")
	for _, c := range []*client{ann, again} {
		if p := c.published.next(t, "publication"); p.Channel != channel || string(p.Data) != "1" {
			t.Errorf("got %s in %s", p.Data, p.Channel)
		}
	}
	if err := r.api.Unsubscribe(bounded(t), channel, "ann-"+id); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{ann, again} {
		if got := c.unsubscribed.next(t, "unsubscribed by the server"); got != channel {
			t.Errorf("unsubscribed from %s", got)
		}
	}
}

func streamByServer(t *testing.T, r rig, id string) {
	channel := "log:" + id
	r.publish(t, channel, "1", "2")
	top, err := r.api.History(bounded(t), channel)
	if err != nil {
		t.Fatal(err)
	}
	ann := r.connect(t, "ann-"+id)
	eventually(t, func() bool {
		err := r.api.Subscribe(bounded(t), channel, "ann-"+id, gocent.WithRecoverSince(&gocent.StreamPosition{Offset: 1, Epoch: top.Epoch}))
		if err != nil {
			t.Fatal(err)
		}
		stats, err := r.api.PresenceStats(bounded(t), channel)
		return err == nil && stats.NumClients == 1
	})
	if e := ann.next(t, channel); !e.Recoverable {
		t.Errorf("subscribed %+v", e)
	}
	r.publish(t, channel, "3")
	for n := 2; n <= 3; n++ {
		if p := ann.published.next(t, "publication"); p.Channel != channel || string(p.Data) != fmt.Sprint(n) || p.Offset != uint64(n) { //nolint:gosec // small
			t.Errorf("got %s at %d in %s", p.Data, p.Offset, p.Channel)
		}
	}
	ann.network.cut(true)
	ann.connecting.next(t, "connecting")
	r.publish(t, channel, "4")
	ann.network.up()
	ann.connected.next(t, "connected again")
}

func unsubscribeByServer(t *testing.T, r rig, id string) {
	channel := "chat:" + id
	ann := r.connect(t, "ann-"+id)
	sub := ann.subscribe(t, channel)
	eventually(t, func() bool {
		if err := r.api.Unsubscribe(bounded(t), channel, "ann-"+id); err != nil {
			t.Fatal(err)
		}
		return len(sub.unsubscribed) > 0
	})
	if e := sub.unsubscribed.next(t, "unsubscribed"); e.Code != 2000 {
		t.Errorf("unsubscribed %+v", e)
	}
	sub.subscribe(t)
	r.publish(t, channel, "1")
	sub.expect(t, "1")
}

func terminalDisconnect(t *testing.T, r rig, id string) {
	for name, tt := range map[string]struct {
		options []gocent.DisconnectOption
		want    centrifuge.DisconnectedEvent
	}{
		"plain":    {nil, centrifuge.DisconnectedEvent{Code: 3503, Reason: "force disconnect"}},
		"own code": {[]gocent.DisconnectOption{gocent.WithDisconnect(&gocent.Disconnect{Code: 4501, Reason: "bye"})}, centrifuge.DisconnectedEvent{Code: 4501, Reason: "bye"}},
	} {
		user := "ann-" + strings.ReplaceAll(name, " ", "-") + "-" + id
		ann := r.connect(t, user)
		eventually(t, func() bool {
			if err := r.api.Disconnect(bounded(t), user, tt.options...); err != nil {
				t.Fatal(err)
			}
			return len(ann.disconnected) > 0
		})
		if e := ann.disconnected.next(t, "disconnected"); e != tt.want {
			t.Errorf("%s: %+v, expected %+v", name, e, tt.want)
		}
	}
}

func reconnectableDisconnect(t *testing.T, r rig, id string) {
	for _, code := range []uint32{3005, 4001} {
		user := fmt.Sprintf("ann-%d-%s", code, id)
		channel := fmt.Sprintf("log:%d-%s", code, id)
		ann := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": user})})
		former := ann.connect(t).ClientID
		sub := ann.subscribe(t, channel)
		r.publish(t, channel, "1")
		positions(t, sub, 1, 1)
		eventually(t, func() bool {
			err := r.api.Disconnect(bounded(t), user, gocent.WithDisconnectClient(former), gocent.WithDisconnect(&gocent.Disconnect{Code: code, Reason: "again"}))
			if err != nil {
				t.Fatal(err)
			}
			return len(ann.connected) > 0
		})
		r.publish(t, channel, "2")
		positions(t, sub, 2, 2)
		if n := len(ann.disconnected); n > 0 {
			t.Errorf("%d times disconnected for good", n)
		}
	}
}

// races: the server must end where the client believes to be, whichever command is carried out
// first.
func races(t *testing.T, r rig, id string) {
	channel := "chat:" + id
	ann, bob := r.connect(t, "ann-"+id), r.connect(t, "bob-"+id)
	sub := ann.subscription(t, channel, centrifuge.SubscriptionConfig{})
	for n := range 10 {
		// While a subscribe is on its way the client sends no other, and takes its reply for that to the
		// last one: so each unsubscribe follows a reply.
		for range 3 {
			if err := sub.Subscribe(); err != nil {
				t.Fatal(err)
			}
			sub.subscribed.next(t, "subscribed")
			if err := sub.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
		}
		if err := sub.Subscribe(); err != nil {
			t.Fatal(err)
		}
		sub.subscribed.next(t, "subscribed")
		for len(sub.published) > 0 {
			<-sub.published
		}
		eventually(t, func() bool {
			r.publish(t, channel, fmt.Sprint(n))
			return len(sub.published) > 0
		})
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool {
		stats, err := bob.PresenceStats(bounded(t), channel)
		return err == nil && stats.NumClients == 0
	})
	if len(ann.connected)+len(ann.disconnected) > 0 {
		t.Errorf("%d reconnects, %d disconnects", len(ann.connected), len(ann.disconnected))
	}
	for range len(sub.unsubscribed) {
		if e := <-sub.unsubscribed; e.Code != 0 {
			t.Errorf("unsubscribed %+v, which the client did not ask for", e)
		}
	}
}

func many(t *testing.T, r rig, id string)        { at33(t, r, "chat:"+id) }
func manyStreams(t *testing.T, r rig, id string) { at33(t, r, "log:"+id) }

// at33 subscribes to more channels at once than a command of the store may change.
func at33(t *testing.T, r rig, prefix string) {
	ann := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": "ann-" + strings.ReplaceAll(prefix, ":", "-")})})
	var subs []*subscription
	var channels []string
	for n := range 33 {
		channels = append(channels, fmt.Sprintf("%s-%d", prefix, n))
		subs = append(subs, ann.subscription(t, channels[n], centrifuge.SubscriptionConfig{}))
		if err := subs[n].Subscribe(); err != nil {
			t.Fatal(err)
		}
	}
	ann.connect(t)
	began := time.Now()
	for _, s := range subs {
		s.subscribed.next(t, "subscribed")
	}
	t.Log("33 subscriptions took", time.Since(began))
	if _, err := r.api.Broadcast(bounded(t), channels, []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	for _, s := range subs {
		s.expect(t, "1")
	}
	ann.network.cut(false)
	for _, s := range subs {
		s.subscribed.next(t, "subscribed again")
	}
}

func classicClient(t *testing.T, r rig, id string) {
	for _, channel := range []string{"chat:" + id, "log:" + id} {
		category, name, _ := strings.Cut(channel, ":")
		conn, _, err := websocket.Dial(bounded(t), r.WebSocketURL, nil) //nolint:bodyclose // the library closes it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		frames := newEvents[string]()
		go func() {
			for {
				_, b, err := conn.Read(t.Context())
				if err != nil {
					return
				}
				frames.add(string(b))
			}
		}()
		say := func(frame, expected string) {
			t.Helper()
			if err := conn.Write(bounded(t), websocket.MessageText, []byte(frame)); err != nil {
				t.Fatal(err)
			}
			for {
				f := frames.next(t, expected)
				if strings.Contains(f, expected) {
					return
				}
			}
		}
		user := "old-" + id
		say(fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":%q,"project_id":%q,"permissions":{}}}`, auth.SignToken(secret, user, projectID), user, projectID), `"method":"auth","result":true`)
		say(fmt.Sprintf(`{"method":"subscribe","params":{"to":{%q:[%q]}}}`, category, name), `"method":"subscribe","result":true`)
		ann := r.connect(t, "ann-"+id)
		sub := ann.subscribe(t, channel)
		if _, err := sub.Publish(bounded(t), encode(t, "new")); err != nil {
			t.Fatal(err)
		}
		sub.expect(t, `"new"`)
		for {
			if f := frames.next(t, "message"); strings.Contains(f, `"new"`) {
				break
			}
		}
		say(fmt.Sprintf(`{"method":"broadcast","params":{"category":%q,"channel":%q,"data":{"from":"old"}}}`, category, name), `"result":true`)
		if p := sub.published.next(t, "message of the classic client"); string(p.Data) != `{"from":"old"}` || p.Info == nil || p.Info.User != user {
			t.Errorf("%s: got %s from %+v", channel, p.Data, p.Info)
		}
		p, err := sub.Presence(bounded(t))
		if err != nil || !cmp.Equal(users(p), map[string]int{user: 1, "ann-" + id: 1}) {
			t.Errorf("%s: presence %v, %v", channel, users(p), err)
		}
		say(fmt.Sprintf(`{"method":"presence","params":{"category":%q,"channel":%q}}`, category, name), "ann-"+id)
	}
}

// pipelined: commands that a client sends without waiting for the reply to connect.
func pipelined(t *testing.T, r rig, id string) {
	conn, _, err := websocket.Dial(bounded(t), r.WebSocketURL+"?project="+projectID, nil) //nolint:bodyclose // the library closes it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	for _, frame := range []string{
		fmt.Sprintf(`{"id":1,"connect":{"token":%q}}`, token(t, jwt.MapClaims{"sub": "ann-" + id})),
		fmt.Sprintf(`{"id":2,"subscribe":{"channel":"chat:%s"}}`+"\n"+`{"id":3,"subscribe":{"channel":"chat:%s-2"}}`, id, id),
		fmt.Sprintf(`{"id":4,"publish":{"channel":"chat:%s","data":4}}`, id),
	} {
		if err := conn.Write(bounded(t), websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	replies := make(map[string]bool)
	for len(replies) < 4 {
		_, b, err := conn.Read(bounded(t))
		if err != nil {
			t.Fatalf("after replies to %v: %v", replies, err)
		}
		for line := range strings.Lines(string(b)) {
			for _, n := range []string{"1", "2", "3", "4"} {
				if strings.HasPrefix(line, `{"id":`+n+`,`) {
					if strings.Contains(line, `"error"`) {
						t.Errorf("got %s", line)
					}
					replies[n] = true
				}
			}
		}
	}
}

func noApplication(t *testing.T, r rig, id string) {
	ann := r.connect(t, "ann-"+id)
	if _, err := ann.RPC(bounded(t), "method", []byte(`{}`)); code(err) != 108 {
		t.Errorf("rpc: %v, expected code 108", err)
	}
	if err := ann.Send(bounded(t), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if e := ann.disconnected.next(t, "disconnected"); e.Code != 3508 {
		t.Errorf("send: %+v, expected code 3508", e)
	}
}

func unauthorized(t *testing.T, r rig, id string) {
	ann := r.connect(t, "ann-"+id)
	sub := ann.subscription(t, "$log:"+id, centrifuge.SubscriptionConfig{GetToken: func(centrifuge.SubscriptionTokenEvent) (string, error) {
		return "", centrifuge.ErrUnauthorized
	}})
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	if e := sub.unsubscribed.next(t, "unsubscribed"); e.Code != 1 {
		t.Errorf("unsubscribed %+v, expected code 1, unauthorized", e)
	}
	ann.subscribe(t, "log:"+id) // the connection goes on
}
