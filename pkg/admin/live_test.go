package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/admin"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// join opens a connection of a user and subscribes it to channels.
func (r *rig) join(id, user string, granted hub.Permissions, channels ...string) {
	r.t.Helper()
	ctx := r.t.Context()
	c := hub.Connection{
		ID: id, Origin: "https://shop.example", Expires: r.clock().Add(2 * time.Hour), Project: projectID, User: user,
		Permissions: granted, Protocol: hub.Classic,
	}
	if err := storetest.Enter(ctx, r.store, c); err != nil {
		r.t.Fatal(err)
	}
	if len(channels) == 0 {
		return
	}
	var to []hub.Channel
	for _, name := range channels {
		ch, err := hub.ParseChannel(projectID, name)
		if err != nil {
			r.t.Fatal(err)
		}
		to = append(to, ch)
	}
	refused, err := r.hub.Subscribe(ctx, hub.Command{Connection: id}, to)
	if err != nil || len(refused) > 0 {
		r.t.Fatalf("subscribe %s: refused %v, error %v", id, refused, err)
	}
}

func TestFeedPage(t *testing.T) {
	r := newRig(t).signIn()

	t.Run("there is a filter for each category that publishes to admins", func(t *testing.T) {
		page := parse(t, r.is(r.get(base+"/feed"), http.StatusOK).body)
		var boxes []string
		for _, input := range page.all("input") {
			if input.attr["type"] == "checkbox" {
				boxes = append(boxes, input.attr["value"])
			}
		}
		if got, want := page.with("id", "filters").attr["data-address"], socketURL+"?origin=later&project="+projectID; got != want {
			t.Errorf("the page connects to %s, want %s", got, want)
		}
		if diff := cmp.Diff([]string{"chat"}, boxes); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("without such a category the page explains the option", func(t *testing.T) {
		p, err := r.store.ReadProject(t.Context(), projectID)
		if err != nil {
			t.Fatal(err)
		}
		chat := p.Categories["chat"]
		chat.PublishToAdmins = false
		if err := r.store.PutCategory(t.Context(), projectID, chat); err != nil {
			t.Fatal(err)
		}
		got := r.get(base + "/feed")
		r.shows(got, http.StatusOK, "No category publishes to admins", "the option Publish to admins")
		page := parse(t, got.body)
		if page.with("href", base+"/categories") == nil || page.with("id", "filters") != nil {
			t.Error("there is no link to the categories, or there are filters")
		}
		var offered []string
		for _, box := range page.with("action", base+"/feed/categories").all("input") {
			_, checked := box.attr["checked"]
			offered = append(offered, fmt.Sprint(box.attr["value"], " ", checked))
		}
		if diff := cmp.Diff([]string{`a/b "? true`, "chat true", "news true"}, offered); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("the page turns the option on", func(t *testing.T) {
		r := r.in(t)
		r.is(r.post(base+"/feed/categories", "category", "none", "category", "news"), http.StatusNotFound)
		if r.project(projectID).Categories["news"].PublishToAdmins {
			t.Error("a request with an unknown category changed another one")
		}
		got := r.is(r.post(base+"/feed/categories", "category", `a/b "?`, "category", "news"), http.StatusSeeOther)
		if to := got.header.Get("Location"); to != base+"/feed?done=feed-changed" {
			t.Errorf("redirected to %s", to)
		}
		p := r.project(projectID)
		if !p.Categories["news"].PublishToAdmins || !p.Categories[`a/b "?`].PublishToAdmins || p.Categories["chat"].PublishToAdmins {
			t.Errorf("the categories are %+v", p.Categories)
		}
		if news := p.Categories["news"]; news.Shards != 4 || !news.CleanHTML {
			t.Errorf("other options changed: %+v", news)
		}
		r.shows(r.get(base+"/feed?done=feed-changed"), http.StatusOK, "The categories publish to admins.")
	})
	t.Run("without categories the page offers to create one", func(t *testing.T) {
		r := r.in(t)
		r.put(&hub.Project{ID: "bare", Name: "Bare", Secret: auth.NewSecret()})
		r.shows(r.get("/admin/projects/bare/feed"), http.StatusOK, "The project has no category yet.", "Create the first category")
	})
}

func TestFeedToken(t *testing.T) {
	r := newRig(t).signIn()
	got := r.is(r.post(base+"/feed/token"), http.StatusOK)
	var credentials struct{ Token string }
	if err := json.Unmarshal([]byte(got.body), &credentials); err != nil {
		t.Fatal(err)
	}
	p := r.project(projectID)
	verify := func(p *hub.Project, now time.Time) (hub.ConnectionToken, error) {
		return auth.NewVerifier(auth.VerifierOptions{}).Connection(t.Context(), p, credentials.Token, now)
	}

	t.Run("the token grants the feed and nothing else", func(t *testing.T) {
		got, err := verify(p, r.clock())
		if err != nil {
			t.Fatal(err)
		}
		end := r.clock().Add(2*time.Hour + 20*time.Minute)
		want := hub.ConnectionToken{
			Expires: end, ConnectionExpires: end, Secret: p.SecretID(), AnyOrigin: true, Permissions: &hub.Permissions{Confirmed: true},
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{hub.Feed(""): {}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("the token outlives a connection, and expires", func(t *testing.T) {
		if _, err := verify(p, r.clock().Add(hub.MaxConnectionAge)); err != nil {
			t.Error(err)
		}
		if _, err := verify(p, r.clock().Add(3*time.Hour)); err == nil {
			t.Error("the token is valid after three hours")
		}
	})
	t.Run("another project refuses the token", func(t *testing.T) {
		if _, err := verify(&hub.Project{ID: "other", Secret: auth.NewSecret()}, r.clock()); err == nil {
			t.Error("the token is valid there")
		}
	})
	t.Run("a session is required", func(*testing.T) {
		administrator := r.browser
		r.browser = r.newBrowser()
		request := r.request(http.MethodPost, base+"/feed/token", "", "")
		request.Header.Set("Accept", "application/json")
		r.is(r.do(request), http.StatusUnauthorized)
		r.browser = administrator
	})
	t.Run("another site is refused", func(*testing.T) {
		request := r.request(http.MethodPost, base+"/feed/token", "", "")
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		r.is(r.do(request), http.StatusForbidden)
	})
	t.Run("an unknown project", func(*testing.T) {
		r.is(r.post("/admin/projects/absent/feed/token"), http.StatusNotFound)
	})
}

func TestActionsPage(t *testing.T) {
	r := newRig(t).signIn()

	t.Run("a link fills in the form, with any channel name", func(t *testing.T) {
		page := parse(t, r.is(r.get(base+"/actions?"+url.Values{"method": {"presence"}, "channel": {`chat:<a> & "b"`}}.Encode()), http.StatusOK).body)
		if got := page.with("id", "field-channel"); got == nil || got.attr["value"] != `chat:<a> & "b"` {
			t.Errorf("got %+v", got)
		}
		if page.with("id", "outcome").attr["hidden"] != "hidden" {
			t.Error("there is a response without a request")
		}
	})
	t.Run("an unknown action", func(*testing.T) {
		r.is(r.get(base+"/actions?method=rm"), http.StatusNotFound)
		r.is(r.post(base+"/actions", "method", "rm"), http.StatusNotFound)
		r.is(r.post(base+"/actions/rm"), http.StatusNotFound)
	})
	t.Run("the page shows the request, the response and the command", func(t *testing.T) {
		got := r.is(r.post(base+"/actions", "method", "publish", "channel", "chat:lobby", "data", `{"text": "it's"}`), http.StatusOK)
		for id, want := range map[string]string{
			"status":  "200 OK",
			"request": `{ "channel": "chat:lobby", "data": { "text": "it's" } }`,
			"answer":  `{ "result": { "delivered": 0 } }`,
			"curl": `curl -H 'X-API-Key: YOUR_KEY' -d '{"channel":"chat:lobby","data":{"text":"it'\''s"}}' ` +
				r.server.URL + "/api/publish",
		} {
			if diff := cmp.Diff(want, testID(t, got.body, id)); diff != "" {
				t.Errorf("%s, -expected +got:\n%s", id, diff)
			}
		}
		if len(r.delivered) == 0 || string(r.delivered[len(r.delivered)-1].Data) != `{"text":"it's"}` {
			t.Errorf("delivered %v", r.delivered)
		}
	})
	t.Run("a form with problems keeps the input, and nothing is sent", func(t *testing.T) {
		sent := len(r.delivered)
		got := r.is(r.post(base+"/actions", "method", "publish", "channel", "chat:<lobby>", "data", "{"), http.StatusBadRequest)
		page := parse(t, got.body)
		if page.with("id", "field-channel").attr["value"] != "chat:<lobby>" || page.with("id", "field-data").attr["aria-invalid"] != "true" {
			t.Error("the input is lost, or the field is not marked")
		}
		if text := page.with("id", "field-data-error").text(); !strings.HasPrefix(text, "Data is not JSON") {
			t.Errorf("the problem is %q", text)
		}
		if len(r.delivered) != sent {
			t.Error("a message was sent")
		}
	})
	t.Run("a script gets JSON", func(*testing.T) {
		r.says(r.post(base+"/actions/presence_stats", "channel", "chat:lobby"), http.StatusOK,
			`{"request":"{\n  \"channel\": \"chat:lobby\"\n}","curl":"curl -H 'X-API-Key: YOUR_KEY' -d '{\"channel\":\"chat:lobby\"}' `+
				r.server.URL+`/api/presence_stats","status":"200 OK","answer":"{\n  \"result\": {\n    \"num_clients\": 0,\n    \"num_users\": 0\n  }\n}","summary":"Done","done":true}`)
		r.says(r.post(base+"/actions/presence_stats"), http.StatusOK, `{"problems":{"channel":"Channel is required."},"done":false}`)
	})
	t.Run("an error response is not done", func(t *testing.T) {
		got := r.is(r.post(base+"/actions/presence", "channel", "news:a"), http.StatusOK)
		var o struct {
			Done   bool
			Answer string
		}
		if err := json.Unmarshal([]byte(got.body), &o); err != nil || o.Done || !strings.Contains(o.Answer, `"code": 108`) {
			t.Errorf("%+v, error %v", o, err)
		}
	})
}

func TestActionsPageDelivered(t *testing.T) {
	r := newRig(t, func(o *admin.Options) {
		o.Call = func(context.Context, *hub.Project, string, []byte) (int, []byte) {
			return http.StatusOK, []byte(`{"result":{"delivered":2}}`)
		}
	}).signIn()
	pairs := []string{"method", "publish", "channel", "chat:lobby", "data", "1"}
	if got := testID(t, r.is(r.post(base+"/actions", pairs...), http.StatusOK).body, "summary"); got != "Published to 2 connections" {
		t.Errorf("the page shows %q", got)
	}
	if got := r.is(r.post(base+"/actions/publish", pairs...), http.StatusOK).body; !strings.Contains(got, `"summary":"Published to 2 connections"`) {
		t.Errorf("a script gets %s", got)
	}
}

func TestChannelsPage(t *testing.T) {
	r := newRig(t).signIn()
	r.join("c1", "alice", hub.Permissions{Everything: true}, "chat:lobby", "chat:50% off?", "news:a")
	r.join("c2", "alice", hub.Permissions{Everything: true}, "chat:lobby")
	r.join("c3", "bob", hub.Permissions{Everything: true}, "chat:lobby", "news:a")

	rows := func(t *testing.T, page *element) []string {
		t.Helper()
		var rows []string
		for _, row := range page.all("tr")[1:] {
			rows = append(rows, row.text())
		}
		return rows
	}
	t.Run("channels are sorted by subscribers, with links to their presence", func(t *testing.T) {
		got := r.get(base + "/channels")
		r.shows(got, http.StatusOK, "Connections 3", "Users 2", "Channels 3", "Subscriptions 6", "reads the table")
		page := parse(t, got.body)
		if diff := cmp.Diff([]string{"chat:lobby 3 Show", "news:a 2 off", "chat:50% off? 1 Show"}, rows(t, page)); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
		link := page.with("aria-label", "Presence of chat:50% off?")
		if link == nil {
			t.Fatal("no link")
		}
		form := parse(t, r.is(r.get(link.attr["href"]), http.StatusOK).body)
		if got := form.with("id", "field-channel").attr["value"]; got != "chat:50% off?" {
			t.Errorf("the link fills in channel %q", got)
		}
	})
	t.Run("a pattern", func(t *testing.T) {
		got := r.get(base + "/channels?pattern=news:*")
		r.shows(got, http.StatusOK, "Channels that match 1", "Subscriptions in them 2")
		if diff := cmp.Diff([]string{"news:a 2 off"}, rows(t, parse(t, got.body))); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("an invalid pattern", func(t *testing.T) {
		got := r.is(r.get(base+"/channels?pattern="+url.QueryEscape("chat:[")), http.StatusBadRequest)
		if parse(t, got.body).with("id", "pattern-error") == nil {
			t.Errorf("the page shows no problem: %s", got.body)
		}
	})
	t.Run("a pattern without a match", func(*testing.T) {
		r.shows(r.get(base+"/channels?pattern=x:*"), http.StatusOK, "No channel with subscribers matches the pattern.")
	})
}

// partial is a store with a table that is too large for a page.
type partial struct{ hub.Store }

func (partial) Usage(_ context.Context, _ string, within hub.Bound, _ hub.Counted) (hub.Usage, error) {
	return hub.Usage{Users: map[string]int{}, Subscribers: map[hub.Channel]int{}, Partial: within.Items > 0 && within.Time > 0}, nil
}

func TestUsersPage(t *testing.T) {
	r := newRig(t).signIn()
	many := make([]string, 23)
	for i := range many {
		many[i] = fmt.Sprintf("n%02d", i)
	}
	r.join("c1", "alice <a>", hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{
		"chat": {Whole: true}, "news": {Channels: many}, "none": {},
	}}, "chat:lobby", "news:n01")
	r.join("c2", "alice <a>", hub.Permissions{Everything: true})
	of := base + "/users?user=" + url.QueryEscape("alice <a>")

	t.Run("without a user the connected ones are listed", func(t *testing.T) {
		r := r.in(t)
		got := r.get(base + "/users")
		r.shows(got, http.StatusOK, "alice <a> 2", "reads the table")
		table := parse(t, got.body).all("table")
		if len(table) != 1 {
			t.Fatalf("%d tables", len(table))
		}
		r.shows(r.get(table[0].all("a")[0].attr["href"]), http.StatusOK, "All connections of alice <a>", "c1", "c2")
	})
	t.Run("where the table is too large, pages say that a list is cut", func(t *testing.T) {
		r := newRig(t, func(o *admin.Options) {
			var err error
			o.Hub, err = hub.New(hub.Options{
				Store: partial{o.Store.(hub.Store)}, Dispatcher: &rig{}, Callback: callback.New(callback.Options{}), VerifyToken: auth.VerifyToken,
			})
			if err != nil {
				t.Fatal(err)
			}
		}).signIn()
		r.shows(r.get(base+"/users"), http.StatusOK, "The list is cut", "No connected user is in the part that was read.")
		r.shows(r.get(base+"/channels"), http.StatusOK, "The list is cut")
	})
	t.Run("without connected users", func(t *testing.T) {
		r := r.in(t)
		r.put(&hub.Project{ID: "quiet", Name: "Quiet", Secret: auth.NewSecret()})
		r.shows(r.get("/admin/projects/quiet/users"), http.StatusOK, "No user is connected.")
	})
	t.Run("a connection is shown with permissions, channels and expiry", func(*testing.T) {
		r.shows(r.get(of), http.StatusOK, "c1", "c2", "classic", "chat:lobby", "news:n01", "chat: all channels", "none: no channel",
			"n18, n19 and 3 more", "permissions confirmed by the application", "permissions not confirmed", "https://shop.example",
			r.clock().Add(2*time.Hour).UTC().Format("Jan 2, 15:04 UTC"))
	})
	t.Run("a user without a connection", func(*testing.T) {
		r.shows(r.get(base+"/users?user=nobody"), http.StatusOK, "nobody is not connected.")
	})
	t.Run("an empty or too long user", func(t *testing.T) {
		for _, user := range []string{"", strings.Repeat("x", 300)} {
			got := r.is(r.get(base+"/users?user="+user), http.StatusBadRequest)
			if parse(t, got.body).with("id", "user-error") == nil {
				t.Errorf("the page shows no problem: %s", got.body)
			}
		}
	})
	t.Run("the buttons unsubscribe and disconnect", func(t *testing.T) {
		submit := func(method string) {
			t.Helper()
			page := parse(t, r.is(r.get(of), http.StatusOK).body)
			for _, form := range page.all("form") {
				if hidden := form.with("name", "method"); hidden == nil || hidden.attr["value"] != method {
					continue
				}
				pairs := []string{"method", method, "user", form.with("name", "user").attr["value"]}
				if choice := form.with("name", "channel"); choice != nil {
					pairs = append(pairs, "channel", choice.all("option")[0].text())
				}
				got := r.is(r.post(form.attr["action"], pairs...), http.StatusOK)
				if answer := testID(t, got.body, "answer"); answer != `{ "result": {} }` {
					t.Errorf("%s returned %s", method, answer)
				}
				return
			}
			t.Fatalf("no form for %s", method)
		}
		submit("unsubscribe")
		if got := r.is(r.get(of), http.StatusOK).body; strings.Contains(got, "chat:lobby") || !strings.Contains(got, "news:n01") {
			t.Error("the user is still subscribed to the first channel, or not to the second")
		}
		submit("disconnect")
		r.shows(r.get(of), http.StatusOK, "alice <a> is not connected.")
	})
}

func TestChartPage(t *testing.T) {
	r := newRig(t).signIn()
	count := func(ago time.Duration, messages, deliveries int) {
		t.Helper()
		if err := r.store.Count(t.Context(), projectID, r.clock().Add(-ago), messages, deliveries); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("an empty chart", func(t *testing.T) {
		got := r.is(r.get(base+"/chart"), http.StatusOK)
		page := parse(t, got.body)
		if len(page.all("rect")) > 0 || testID(t, got.body, "messages") != "0" {
			t.Error("there are empty bars")
		}
		r.shows(got, http.StatusOK, "No message was sent in this period.")
	})
	count(25*time.Hour, 7, 7)
	count(2*time.Hour, 1000, 5000)
	count(time.Minute, 2, 60)
	count(0, 1, 30)

	for _, tt := range []struct {
		name, query          string
		messages, deliveries string
		bars                 int
	}{
		{"the hour is the default", "", "3", "90", 4},
		{"the day includes the hour", "?span=day", "1,003", "5,090", 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.is(r.get(base+"/chart"+tt.query), http.StatusOK)
			page := parse(t, got.body)
			if m, d := testID(t, got.body, "messages"), testID(t, got.body, "deliveries"); m != tt.messages || d != tt.deliveries {
				t.Errorf("%s messages, %s deliveries", m, d)
			}
			if rects := page.all("rect"); len(rects) != tt.bars {
				t.Errorf("%d bars", len(rects))
			}
			for _, svg := range page.all("svg") {
				if title := page.with("id", svg.attr["aria-labelledby"]); title == nil || title.name != "title" || title.text() == "" {
					t.Error("an <svg> has no title")
				}
			}
			// The table has the values of the bars.
			var table []string
			for _, row := range page.all("tr")[1:] {
				table = append(table, row.text())
			}
			if len(table) != tt.bars/2 {
				t.Errorf("the table has %v", table)
			}
		})
	}
	t.Run("?part returns only the chart", func(t *testing.T) {
		got := r.is(r.get(base+"/chart?span=day&part="), http.StatusOK).body
		page := parse(t, got)
		if page.with("id", "chart") == nil || len(page.all("html")) > 0 {
			t.Error(got)
		}
		if current := page.with("aria-current", "true"); current == nil || current.attr["data-span"] != "day" {
			t.Error("the current span is not marked")
		}
	})
	t.Run("no page has an inline style, which the policy forbids", func(t *testing.T) {
		for _, path := range []string{"/chart", "/feed", "/actions", "/channels", "/users"} {
			for _, e := range parse(t, r.get(base+path).body).all() {
				if e.attr["style"] != "" || e.name == "style" {
					t.Errorf("%s: <%s style>", path, e.name)
				}
			}
		}
	})
}
