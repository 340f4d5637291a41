package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// keep creates the category log, whose channels keep this many messages for an hour.
func (r *rig) keep(size int) {
	r.t.Helper()
	if err := r.store.PutCategory(r.t.Context(), projectID, hub.Category{ID: hub.NewID(r.clock()), Name: "log",
		CategoryOptions: hub.CategoryOptions{Bidirectional: true, HistorySize: size, HistoryTTL: hub.Duration(time.Hour)}}); err != nil {
		r.t.Fatal(err)
	}
}

// publish publishes as an application and returns the position.
func (r *rig) publish(channel, data string, o hub.PublishOptions) hub.Position {
	r.t.Helper()
	ch, err := hub.ParseChannel(projectID, channel)
	if err != nil {
		r.t.Fatal(err)
	}
	published, err := r.hub.Publish(r.t.Context(), r.project(projectID), ch, json.RawMessage(data), o)
	if err != nil {
		r.t.Fatal(err)
	}
	return published.Position
}

// show is the path of the page of a channel, with more parameters.
func show(channel string, pairs ...string) string {
	query := url.Values{"channel": {channel}}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	return base + "/channels/show?" + query.Encode()
}

// publications are the rows of the table of a page.
func (r *rig) publications(got answer) []string {
	r.t.Helper()
	table := parse(r.t, r.is(got, http.StatusOK).body).with("data-testid", "history")
	if table == nil {
		r.t.Fatalf("the page has no history: %s", got.body)
	}
	var rows []string
	for _, row := range table.all("tr")[1:] {
		rows = append(rows, row.text())
	}
	return rows
}

// follow opens the page behind a link with this text.
func (r *rig) follow(got answer, text string) answer {
	r.t.Helper()
	for _, a := range parse(r.t, got.body).all("a") {
		if a.text() == text {
			return r.get(a.attr["href"])
		}
	}
	r.t.Fatalf("the page has no link %s: %s", text, got.body)
	return answer{}
}

func TestChannelPage(t *testing.T) {
	r := newRig(t).signIn()
	r.keep(5)
	r.join("c1", "alice", hub.Permissions{Everything: true}, "log:a")
	r.join("c2", "", hub.Permissions{Everything: true}, "log:a")

	top := r.publish("log:a", `{"text":"<b>&amp;"}`, hub.PublishOptions{Tags: map[string]string{"kind": "<i>", "area": "x"}})
	r.advance(1500 * time.Millisecond)
	for i, connection := range []string{"c1", "c2"} {
		if err := r.hub.Broadcast(t.Context(), hub.Command{Connection: connection, Received: r.clock()}, hub.Channel{Category: "log", Name: "a"}, json.RawMessage(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("messages are listed with the newest first", func(t *testing.T) {
		r := r.in(t)
		got := r.get(show("log:a"))
		r.shows(got, http.StatusOK, "log:a", "the newest 5 messages for 1h.", "Top offset 3", "Epoch "+top.Epoch)
		if diff := cmp.Diff([]string{
			"3 2027-01-15 08:00:01 UTC anonymous 1",
			"2 2027-01-15 08:00:01 UTC alice 0",
			`1 2027-01-15 08:00:00 UTC application {"text":"<b>&amp;"} area: x kind: <i>`,
		}, r.publications(got)); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
		page := parse(t, got.body)
		if at := page.all("time")[0].attr["datetime"]; at != "2027-01-15T08:00:01.500Z" {
			t.Errorf("the time of the newest is %s", at)
		}
		r.shows(r.follow(got, "alice"), http.StatusOK, "All connections of alice")
	})
	t.Run("long data is cut between characters, with a link to the whole", func(t *testing.T) {
		r := r.in(t)
		data := `"` + strings.Repeat("é", 400) + `"` // 802 bytes: byte 500 is the second one of a character
		at := r.publish("log:long", data, hub.PublishOptions{})
		got := r.get(show("log:long"))
		if diff := cmp.Diff([]string{"1 2027-01-15 08:00:01 UTC application " + `"` + strings.Repeat("é", 249) + "… 802 bytes: show all"}, r.publications(got)); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
		form := parse(t, r.is(r.follow(got, "show all"), http.StatusOK).body)
		for name, want := range map[string]string{"channel": "log:long", "limit": "1"} {
			if got := form.with("id", "field-"+name).attr["value"]; got != want {
				t.Errorf("the link fills in the %s %q, expected %q", name, got, want)
			}
		}
		since := form.with("id", "field-since").text()
		if want := fmt.Sprintf(`{"offset":0,"epoch":"%s"}`, at.Epoch); since != want {
			t.Errorf("the link fills in the position %s, expected %s", since, want)
		}
		answered := testID(t, r.is(r.post(base+"/actions", "method", "history", "channel", "log:long", "limit", "1", "since", since), http.StatusOK).body, "answer")
		if !strings.Contains(answered, data) {
			t.Errorf("the action answers %s", answered)
		}
	})
	t.Run("data of the longest length that is shown is not cut", func(t *testing.T) {
		r := r.in(t)
		data := `"` + strings.Repeat("x", 498) + `"`
		r.publish("log:short", data, hub.PublishOptions{})
		if diff := cmp.Diff([]string{"1 2027-01-15 08:00:01 UTC application " + data}, r.publications(r.get(show("log:short")))); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("a channel without messages says so", func(t *testing.T) {
		r := r.in(t)
		got := r.get(show("log:none"))
		r.shows(got, http.StatusOK, "No message was published in this channel")
		for _, absent := range []string{"Remove the history", "Top offset"} {
			if strings.Contains(got.body, absent) {
				t.Errorf("the page shows %q", absent)
			}
		}
	})
	t.Run("a category without history says so", func(t *testing.T) {
		r := r.in(t)
		got := r.get(show("chat:lobby"))
		r.shows(got, http.StatusOK, "chat:lobby", "No history", "Presence")
		if strings.Contains(got.body, "Remove the history") {
			t.Error("the page offers to remove a history")
		}
		r.shows(r.follow(got, "Change the options"), http.StatusOK, "Category chat")
	})
	t.Run("names are escaped", func(t *testing.T) {
		r := r.in(t)
		name := `log:<a> & "b"?#%/é`
		r.publish(name, "1", hub.PublishOptions{})
		got := r.get(show(name))
		if diff := cmp.Diff([]string{"1 2027-01-15 08:00:01 UTC application 1"}, r.publications(got)); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
		if h1 := parse(t, got.body).all("h1")[0].text(); h1 != name {
			t.Errorf("the title is %q", h1)
		}
		if filled := parse(t, r.follow(got, "Publish").body).with("id", "field-channel").attr["value"]; filled != name {
			t.Errorf("the link to publish fills in %q", filled)
		}
	})
	for _, tt := range []struct {
		name, path string
		status     int
		text       string
	}{
		{"no channel is an error", base + "/channels/show", http.StatusBadRequest, "channel name is empty"},
		{"a channel without a name is an error", show("log:"), http.StatusBadRequest, "channel name"},
		{"a name that is too long is an error", show("log:" + strings.Repeat("x", 255)), http.StatusBadRequest, "255"},
		{"an unknown category is an error", show("none:a"), http.StatusNotFound, "Category not found"},
		{"an unknown project is an error", "/admin/projects/none/channels/show?channel=log:a", http.StatusNotFound, "Project not found"},
		{"a position that is not one is an error", show("log:a", "since", "x@y"), http.StatusBadRequest, "since is not a position: write OFFSET@EPOCH"},
		{"a negative position is an error", show("log:a", "since", "-1@y"), http.StatusBadRequest, "since is not a position: write OFFSET@EPOCH"},
	} {
		t.Run(tt.name, func(t *testing.T) { r.in(t).shows(r.get(tt.path), tt.status, tt.text) })
	}
}

func TestChannelPagePages(t *testing.T) {
	r := newRig(t).signIn()
	r.keep(100)
	for i := range 65 {
		r.publish("log:a", fmt.Sprint(i), hub.PublishOptions{})
	}
	offsets := func(got answer) string {
		rows := r.publications(got)
		first, _, _ := strings.Cut(rows[0], " ")
		last, _, _ := strings.Cut(rows[len(rows)-1], " ")
		var links []string
		for _, a := range parse(t, got.body).with("aria-label", "Pages of the history").all("a") {
			links = append(links, a.text())
		}
		return fmt.Sprintf("%s to %s: %s", first, last, strings.Join(links, ", "))
	}
	at := r.get(show("log:a"))
	for _, step := range []struct{ link, want string }{
		{"", "65 to 36: Older"},
		{"Older", "35 to 6: Newest, Newer, Older"},
		{"Older", "5 to 1: Newest, Newer"},
		{"Newer", "35 to 6: Newest, Newer, Older"},
		{"Newer", "65 to 36: Newest, Older"},
		{"Older", "35 to 6: Newest, Newer, Older"},
		{"Newest", "65 to 36: Older"},
	} {
		if step.link != "" {
			at = r.follow(at, step.link)
		}
		if got := offsets(at); got != step.want {
			t.Fatalf("after %q the page has %q, expected %q", step.link, got, step.want)
		}
	}
	t.Run("a full last page has no older one", func(t *testing.T) {
		r := r.in(t)
		for i := range 30 {
			r.publish("log:b", fmt.Sprint(i), hub.PublishOptions{})
		}
		got := r.get(show("log:b"))
		if rows := r.publications(got); len(rows) != 30 || strings.Contains(got.body, "Older") {
			t.Errorf("%d rows: %s", len(rows), got.body)
		}
	})
	t.Run("a page before the oldest message is empty", func(t *testing.T) {
		r := r.in(t)
		got := r.get(show("log:a", "since", "1@", "reverse", "true"))
		r.shows(got, http.StatusOK, "The history has no messages in this direction.")
		if rows := r.publications(r.follow(got, "Show the newest messages")); len(rows) != 30 {
			t.Errorf("%d rows", len(rows))
		}
	})
	t.Run("a position of an epoch that ended shows the newest messages", func(t *testing.T) {
		r := r.in(t)
		got := r.get(show("log:a", "since", "3@former", "reverse", "true"))
		r.shows(got, http.StatusOK, "The stream of that page has ended")
		if rows := r.publications(got); len(rows) != 30 || !strings.HasPrefix(rows[0], "65 ") {
			t.Errorf("rows %q", rows)
		}
	})
	t.Run("messages that are too old leave an empty page", func(t *testing.T) {
		r := r.in(t)
		r.advance(time.Hour)
		r.shows(r.get(show("log:a")), http.StatusOK, "Top offset 65", "The messages up to offset 65 are too old, or were removed.")
	})
}

func TestHistoryRemoval(t *testing.T) {
	r := newRig(t).signIn()
	r.keep(5)
	name := `log:a&b=c`
	r.publish(name, "1", hub.PublishOptions{})
	remove := base + "/channels/remove-history"

	t.Run("a removal without a confirmation changes nothing", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(remove, "channel", name), show(name))
		if rows := r.publications(r.get(show(name))); len(rows) != 1 {
			t.Errorf("rows %q", rows)
		}
	})
	t.Run("a confirmed removal empties the history", func(t *testing.T) {
		r := r.in(t)
		got := r.get(show(name))
		r.redirects(r.post(remove, "channel", hidden(t, got.body, "channel"), "confirm", "yes"), show(name)+"&done=history-removed")
		r.shows(r.get(show(name, "done", "history-removed")), http.StatusOK, "The history is removed.", "No messages", "Top offset 1")
		if at := r.publish(name, "2", hub.PublishOptions{}); at.Offset != 2 {
			t.Errorf("the next message has offset %d", at.Offset)
		}
		if log := r.log.String(); !strings.Contains(log, `"msg":"history removed","project":"`+projectID+`","channel":"log:a&b=c"`) {
			t.Errorf("the log has no removal: %s", log)
		}
	})
	for _, tt := range []struct {
		name, channel string
		status        int
		text          string
	}{
		{"a category without history is refused", "chat:lobby", http.StatusBadRequest, "category chat keeps no history"},
		{"an unknown category is refused", "none:a", http.StatusNotFound, "Category not found"},
		{"a category without a name that does not exist is refused", "lobby", http.StatusNotFound, "Category not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.in(t).shows(r.post(remove, "channel", tt.channel, "confirm", "yes"), tt.status, tt.text)
		})
	}
}

func TestChannelsPageLinks(t *testing.T) {
	r := newRig(t).signIn()
	r.join("c1", "alice", hub.Permissions{Everything: true}, "chat:50% off?")
	t.Run("a channel with subscribers links its page", func(t *testing.T) {
		r := r.in(t)
		got := r.follow(r.get(base+"/channels"), "chat:50% off?")
		if h1 := parse(t, r.is(got, http.StatusOK).body).all("h1")[0].text(); h1 != "chat:50% off?" {
			t.Errorf("the title is %q", h1)
		}
	})
	for pattern, open := range map[string]bool{"chat:quiet": true, "chat:q*": false, "none:a": false, "chat": false, "chat:": false} {
		t.Run("the pattern "+pattern, func(t *testing.T) {
			got := r.in(t).get(base + "/channels?pattern=" + url.QueryEscape(pattern)).body
			if offers := strings.Contains(got, "Open "+pattern); offers != open {
				t.Errorf("the page offers to open it: %v", offers)
			}
		})
	}
}
