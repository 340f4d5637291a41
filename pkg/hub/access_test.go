package hub

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// accessProject has a category for each rule.
var accessProject = &Project{ID: "p", Categories: map[string]Category{
	"":           {},
	"open":       {Name: "open"},
	"private":    {Name: "private", CategoryOptions: CategoryOptions{Private: true}},
	"all":        {Name: "all", CategoryOptions: CategoryOptions{AllowSubscribeForAnonymous: true}},
	"limited":    {Name: "limited", CategoryOptions: CategoryOptions{AllowUserLimitedChannels: true, Private: true}},
	"openlimits": {Name: "openlimits", CategoryOptions: CategoryOptions{AllowUserLimitedChannels: true, AllowSubscribeForAnonymous: true}},
	"regex":      {Name: "regex", CategoryOptions: CategoryOptions{ChannelRegex: "^[a-z]+$"}},
}}

// client is a client of Centrifugo's protocol, with the permissions of its token, "" for none.
func client(user, granted string) Connection {
	c := Connection{User: user}
	if granted != "" {
		c.Permissions = of(strings.Fields(granted)...)
		c.Permissions.Confirmed = true
	}
	return c
}

// decide checks an error: its code and, where it has one, its help.
func decide(t *testing.T, err error, want *Error) {
	t.Helper()
	switch got := (*Error)(nil); {
	case want == nil && err != nil, want != nil && !errors.As(err, &got):
		t.Errorf("error %v, want %v", err, want)
	case want != nil && (got.Code != want.Code || got.Text() != want.Text()):
		t.Errorf("error %v, want %v", got.Text(), want.Text())
	}
}

func TestAccessSubscribe(t *testing.T) {
	for _, tt := range []struct {
		name              string
		user, granted     string
		channel           string
		token, isInsecure bool
		want              *Error
	}{
		{name: "a named client in an open category", user: "u", channel: "open:x"},
		{name: "a named client in an open category without a name", user: "u", channel: "x"},
		{name: "a named client in a private category", user: "u", channel: "private:x", want: errNoSubscribe},
		{name: "a named client in an unknown category", user: "u", channel: "none:x", want: ErrCategoryNotFound},
		{name: "a token in an unknown category", user: "u", channel: "none:x", token: true, want: ErrCategoryNotFound},
		{name: "an insecure client in an unknown category", channel: "none:x", isInsecure: true, want: ErrCategoryNotFound},

		{name: "an anonymous client in an open category", channel: "open:x", want: errNoSubscribe},
		{name: "an anonymous client where those may subscribe", channel: "all:x"},
		{name: "an anonymous client with a token", channel: "private:x", token: true},

		{name: "a channel with a dollar, without a token", user: "u", channel: "$open:x", want: errTokenRequired},
		{name: "a channel with a dollar, with a token", user: "u", channel: "$open:x", token: true},
		{name: "a channel with a dollar, granted", user: "u", granted: "open:$x", channel: "$open:x"},
		{name: "a channel with a dollar, insecure", user: "u", channel: "$open:x", isInsecure: true, want: errTokenRequired},
		{name: "a channel with a dollar that lists the user", user: "u", channel: "$limited:x#u", want: errTokenRequired},
		{name: "a channel with a dollar without a category", user: "u", channel: "$x", want: errTokenRequired},

		{name: "a token in a private category", user: "u", channel: "private:x", token: true},
		{name: "an insecure client in a private category", channel: "private:x", isInsecure: true},

		{name: "a user-limited channel that lists the user", user: "u", channel: "limited:x#v,u"},
		{name: "a user-limited channel that lists the user alone", user: "u", channel: "limited:#u"},
		{name: "a user-limited channel of others", user: "u", channel: "openlimits:x#v,w", want: errNoSubscribe},
		{name: "a user-limited channel of others, with a token", user: "u", channel: "limited:x#v", token: true},
		{name: "a user-limited channel of others, granted", user: "u", granted: "limited:x#v", channel: "limited:x#v"},
		{name: "a user-limited channel of others, insecure", user: "u", channel: "limited:x#v", isInsecure: true},
		{name: "a user-limited channel of a user whose name begins so", user: "u", channel: "openlimits:x#uu", want: errNoSubscribe},
		{name: "a user-limited channel that lists the user before the last mark", user: "u", channel: "openlimits:x#u#v", want: errNoSubscribe},
		{name: "a user-limited channel of nobody, an anonymous client", channel: "openlimits:x#", want: errNoSubscribe},
		{name: "a mark where channels are not limited", user: "u", channel: "open:x#v"},
		{name: "a channel that lists the user where that means nothing", user: "u", channel: "private:x#u", want: errNoSubscribe},
		{name: "a channel without a mark where those are limited", user: "u", channel: "openlimits:x"},
		{name: "a channel without a mark where those are limited and private", user: "u", channel: "limited:x", want: errNoSubscribe},

		{name: "a granted channel of a private category", user: "u", granted: "private:x", channel: "private:x"},
		{name: "a granted category", granted: "private", channel: "private:x"},
		{name: "a channel of an open category that the permissions do not name", user: "u", granted: "open:x", channel: "open:y", want: errNoSubscribe},
		{name: "an open category that the permissions do not name", user: "u", granted: "private", channel: "open:y", want: errNoSubscribe},
		{name: "a channel that lists the user and the permissions do not name", user: "u", granted: "private", channel: "limited:x#u", want: errNoSubscribe},
		{name: "a token of a channel that the permissions do not name", user: "u", granted: "private", channel: "open:x", token: true},
		{name: "an insecure client whose permissions do not name the channel", user: "u", granted: "private", channel: "open:x", isInsecure: true},

		{name: "a name that matches", user: "u", channel: "regex:abc"},
		{name: "a name that does not match", user: "u", channel: "regex:ABC", want: errNameRefused},
		{name: "a name that does not match, with a token", user: "u", channel: "regex:ABC", token: true, want: errNameRefused},
		{name: "a name that matches behind its dollar", user: "u", channel: "$regex:abc", token: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ch, err := ParseChannel("p", tt.channel)
			if err != nil {
				t.Fatal(err)
			}
			a := Access{Project: accessProject, Connection: client(tt.user, tt.granted), Insecure: tt.isInsecure}
			decide(t, a.Subscribe(ch, tt.token), tt.want)
		})
	}
}

// TestAccessToPersonalChannels: where users have personal channels, these are theirs alone.
func TestAccessToPersonalChannels(t *testing.T) {
	personal := &Project{ID: "p", Options: ProjectOptions{SubscribeToUserPersonalChannel: true}, Categories: map[string]Category{"": {}, "open": {Name: "open"}}}
	for _, tt := range []struct {
		name, user, channel string
		project             *Project
		token               bool
		want                *Error
	}{
		{name: "one's own", user: "u", channel: "#u", project: personal},
		{name: "that of another user", user: "u", channel: "#v", project: personal, want: errNoSubscribe},
		{name: "that of another user, with a token", user: "u", channel: "#v", project: personal, token: true},
		{name: "that of a user, for an anonymous client", channel: "#v", project: personal, want: errNoSubscribe},
		{name: "that of a user whose name has a comma", user: "v", channel: "#u,v", project: personal, want: errNoSubscribe},
		{name: "one's own, and the name has a comma", user: "u,v", channel: "#u,v", project: personal},
		{name: "that of a user whose name has a mark", user: "v", channel: "#u#v", project: personal, want: errNoSubscribe},
		{name: "one's own, and the name has a mark", user: "u#v", channel: "#u#v", project: personal},
		{name: "a mark that is not the first character", user: "u", channel: "x#v", project: personal},
		{name: "a mark in a category with a name", user: "u", channel: "open:#v", project: personal},
		{name: "a mark where nobody has a personal channel", user: "u", channel: "#v", project: accessProject},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ch, err := ParseChannel("p", tt.channel)
			if err != nil {
				t.Fatal(err)
			}
			decide(t, Access{Project: tt.project, Connection: client(tt.user, "")}.Subscribe(ch, tt.token), tt.want)
			rule := tt.project.audience(tt.project.Locate(ch)).Rule
			basis := Connection{User: tt.user, Secret: tt.project.SecretID(), Permissions: Permissions{Confirmed: tt.token}}.BasisIn(ch)
			if tt.want == nil && !rule.Admits(basis) {
				t.Error("the rule does not admit it")
			}
		})
	}
}

func TestAccessWithoutUnnamedCategory(t *testing.T) {
	a := Access{Project: &Project{ID: "p"}, Connection: client("u", ""), Insecure: true}
	ch := Channel{Project: "p", Name: "x"}
	for name, err := range map[string]error{
		"subscribe": a.Subscribe(ch, true), "publish": a.Publish(ch, true), "history": a.History(ch, true), "presence": a.Presence(ch, true),
	} {
		t.Run(name, func(t *testing.T) { decide(t, err, errUnnamedCategory) })
	}
}

// TestAccessIgnoresRequests: permissions that nobody confirmed neither grant nor withhold.
func TestAccessIgnoresRequests(t *testing.T) {
	a := Access{Project: accessProject, Connection: Connection{User: "u", Permissions: of("private")}}
	decide(t, a.Subscribe(Channel{Project: "p", Category: "private", Name: "x"}, false), errNoSubscribe)
	decide(t, a.Subscribe(Channel{Project: "p", Category: "open", Name: "x"}, false), nil)
}

// TestAccessActions takes each of publish, history and presence through the options that they
// have in common.
func TestAccessActions(t *testing.T) {
	// action sets the options of an action and performs it.
	type action struct {
		options func(client, subscriber, anonymous bool) CategoryOptions
		perform func(Access, Channel, bool) error
		refused *Error
		// grant means that a grant alone is enough.
		grant bool
	}
	kept := CategoryOptions{HistorySize: 10, HistoryTTL: Duration(time.Minute)}
	actions := map[string]action{
		"publish": {func(client, subscriber, anonymous bool) CategoryOptions {
			return CategoryOptions{Bidirectional: client, AllowPublishForSubscriber: subscriber, AllowPublishForAnonymous: anonymous}
		}, Access.Publish, errNoPublish, false},
		"history": {func(client, subscriber, anonymous bool) CategoryOptions {
			o := kept
			o.AllowHistoryForClient, o.AllowHistoryForSubscriber, o.AllowHistoryForAnonymous = client, subscriber, anonymous
			return o
		}, Access.History, errNoHistory, true},
		"presence": {func(client, subscriber, anonymous bool) CategoryOptions {
			return CategoryOptions{Presence: true, AllowPresenceForClient: client, AllowPresenceForSubscriber: subscriber, AllowPresenceForAnonymous: anonymous}
		}, Access.Presence, errNoPresence, true},
	}
	for name, action := range actions {
		for _, tt := range []struct {
			name                          string
			client, subscriber, anonymous bool // the options
			user, granted                 string
			subscribed, insecure          bool
			allowed                       bool
		}{
			{name: "no option", user: "u"},
			{name: "no option, subscribed", user: "u", subscribed: true},
			{name: "no option, insecure", insecure: true, allowed: true},
			{name: "for clients", client: true, user: "u", allowed: true},
			{name: "for clients, anonymous", client: true},
			{name: "for clients and anonymous ones, anonymous", client: true, anonymous: true, allowed: true},
			{name: "for anonymous clients alone", anonymous: true},
			{name: "for anonymous clients alone, subscribed", anonymous: true, subscribed: true},
			{name: "for subscribers, not subscribed", subscriber: true, user: "u"},
			{name: "for subscribers, subscribed", subscriber: true, user: "u", subscribed: true, allowed: true},
			{name: "for subscribers, anonymous and subscribed", subscriber: true, subscribed: true},
			{name: "for subscribers and anonymous ones, anonymous and subscribed", subscriber: true, anonymous: true, subscribed: true, allowed: true},
			{name: "for subscribers and anonymous ones, anonymous", subscriber: true, anonymous: true},
			{name: "no option, granted", user: "u", granted: "c:x", allowed: action.grant},
			{name: "for clients, granted and anonymous", client: true, granted: "c:x", allowed: true},
			{name: "for clients, withheld", client: true, user: "u", granted: "c:y"},
			{name: "for subscribers, withheld and subscribed by a token", subscriber: true, user: "u", granted: "c:y", subscribed: true, allowed: true},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				c := Category{Name: "c", CategoryOptions: action.options(tt.client, tt.subscriber, tt.anonymous)}
				a := Access{Project: &Project{ID: "p", Categories: map[string]Category{"c": c}}, Connection: client(tt.user, tt.granted), Insecure: tt.insecure}
				want := action.refused
				if tt.allowed {
					want = nil
				}
				decide(t, action.perform(a, Channel{Project: "p", Category: "c", Name: "x"}, tt.subscribed), want)
			})
		}
		t.Run(name+"/unknown category", func(t *testing.T) {
			a := Access{Project: &Project{}, Connection: client("u", ""), Insecure: true}
			decide(t, action.perform(a, Channel{Category: "none", Name: "x"}, true), ErrCategoryNotFound)
		})
		t.Run(name+"/a name that does not match", func(t *testing.T) {
			c := Category{Name: "c", CategoryOptions: action.options(true, true, true)}
			c.ChannelRegex = "^y"
			a := Access{Project: &Project{Categories: map[string]Category{"c": c}}, Insecure: true}
			decide(t, action.perform(a, Channel{Category: "c", Name: "x"}, true), errNameRefused)
		})
	}
}

func TestAccessNotAvailable(t *testing.T) {
	c := Category{Name: "c", CategoryOptions: CategoryOptions{Ordered: true, AllowHistoryForClient: true, AllowPresenceForClient: true}}
	a := Access{Project: &Project{Categories: map[string]Category{"c": c}}, Connection: client("u", ""), Insecure: true}
	ch := Channel{Category: "c", Name: "x"}
	decide(t, a.History(ch, true), ErrNotAvailable.With("category c keeps no history").WithHelp("turn on its options history_size and history_ttl"))
	decide(t, a.Presence(ch, true), ErrNotAvailable.With("category c has no presence").WithHelp("turn on its option presence"))
}

// TestAccessPublishInPrivateCategory: a client that may not subscribe does not publish either.
func TestAccessPublishInPrivateCategory(t *testing.T) {
	for _, tt := range []struct {
		name       string
		granted    string
		subscribed bool
		want       *Error
	}{
		{"not subscribed", "", false, errNoPublish},
		{"subscribed", "", true, nil},
		{"granted", "c:x", false, nil},
		{"another channel granted", "c:y", false, errNoPublish},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Category{Name: "c", CategoryOptions: CategoryOptions{Private: true, Bidirectional: true}}
			a := Access{Project: &Project{Categories: map[string]Category{"c": c}}, Connection: client("u", tt.granted)}
			decide(t, a.Publish(Channel{Category: "c", Name: "x"}, tt.subscribed), tt.want)
		})
	}
}

func TestAccessFlags(t *testing.T) {
	kept := CategoryOptions{HistorySize: 10, HistoryTTL: Duration(time.Minute), JoinLeave: true}
	everyFlag := SubscriptionFlags{Positioned: true, Recoverable: true, JoinLeave: true}
	for _, tt := range []struct {
		name     string
		set      func(*CategoryOptions)
		user     string
		granted  string
		insecure bool
		asked    SubscriptionFlags
		want     SubscriptionFlags
	}{
		{name: "nothing asked"},
		{name: "all asked, no option", user: "u", asked: everyFlag},
		{name: "all asked, insecure", asked: everyFlag, insecure: true, want: everyFlag},
		{name: "nothing asked, insecure", insecure: true},
		{name: "all asked, granted", granted: "c", asked: everyFlag, want: everyFlag},
		{name: "positioning allowed", set: func(o *CategoryOptions) { o.AllowPositioning = true }, asked: everyFlag, want: SubscriptionFlags{Positioned: true}},
		{name: "positioning allowed, not asked", set: func(o *CategoryOptions) { o.AllowPositioning = true }},
		{name: "recovery allowed", set: func(o *CategoryOptions) { o.AllowRecovery = true }, asked: SubscriptionFlags{Recoverable: true}, want: SubscriptionFlags{Positioned: true, Recoverable: true}},
		{name: "history for clients", set: func(o *CategoryOptions) { o.AllowHistoryForClient = true }, user: "u", asked: everyFlag, want: SubscriptionFlags{Positioned: true, Recoverable: true}},
		{name: "history for subscribers", set: func(o *CategoryOptions) { o.AllowHistoryForSubscriber = true }, user: "u", asked: everyFlag, want: SubscriptionFlags{Positioned: true, Recoverable: true}},
		{name: "history for subscribers, anonymous", set: func(o *CategoryOptions) { o.AllowHistoryForSubscriber = true }, asked: everyFlag},
		{name: "presence for subscribers", set: func(o *CategoryOptions) { o.AllowPresenceForSubscriber = true }, user: "u", asked: everyFlag, want: SubscriptionFlags{JoinLeave: true}},
		{name: "presence for subscribers, joins not asked", set: func(o *CategoryOptions) { o.AllowPresenceForSubscriber = true }, user: "u"},
		{name: "presence for subscribers, no joins", set: func(o *CategoryOptions) { o.AllowPresenceForSubscriber, o.JoinLeave = true, false }, user: "u", asked: everyFlag},
		{name: "recovery forced", set: func(o *CategoryOptions) { o.ForceRecovery = true }, want: SubscriptionFlags{Positioned: true, Recoverable: true}},
		{name: "recovery forced without a history", set: func(o *CategoryOptions) { o.ForceRecovery, o.HistorySize, o.Ordered = true, 0, true }},
		{name: "positioning forced", set: func(o *CategoryOptions) { o.ForcePositioning = true }, want: SubscriptionFlags{Positioned: true}},
		{name: "positioning forced in an ordered category", set: func(o *CategoryOptions) { o.ForcePositioning, o.HistorySize, o.Ordered = true, 0, true }, want: SubscriptionFlags{Positioned: true}},
		{name: "positioning forced without a stream", set: func(o *CategoryOptions) { o.ForcePositioning, o.HistorySize = true, 0 }},
		{name: "joins forced", set: func(o *CategoryOptions) { o.ForcePushJoinLeave = true }, want: SubscriptionFlags{JoinLeave: true}},
		{name: "joins forced where there are none", set: func(o *CategoryOptions) { o.ForcePushJoinLeave, o.JoinLeave = true, false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Category{Name: "c", CategoryOptions: kept}
			if tt.set != nil {
				tt.set(&c.CategoryOptions)
			}
			a := Access{Project: &Project{}, Connection: client(tt.user, tt.granted), Insecure: tt.insecure}
			if got := a.Flags(c, Channel{Category: "c", Name: "x"}, tt.asked); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
