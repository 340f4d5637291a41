package hub

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	everything = Permissions{Everything: true}
	nothing    = Permissions{}
)

// of builds permissions: "a" is the whole category, "a:x,y" channels of it, "a:"
// none of them.
func of(grants ...string) Permissions {
	p := Permissions{Categories: make(map[string]Grant)}
	for _, g := range grants {
		category, names, some := strings.Cut(g, ":")
		switch {
		case !some:
			p.Categories[category] = Grant{Whole: true}
		case names == "":
			p.Categories[category] = Grant{}
		default:
			p.Categories[category] = Grant{Channels: strings.Split(names, ",")}
		}
	}
	return p
}

func TestPermissionsInCategory(t *testing.T) {
	for _, tt := range []struct {
		name        string
		permissions Permissions
		listed      bool
		x, y        bool
	}{
		{name: "everything", permissions: everything, listed: true, x: true, y: true},
		{name: "nothing", permissions: nothing},
		{name: "a whole category", permissions: of("a"), listed: true, x: true, y: true},
		{name: "one channel", permissions: of("a:x"), listed: true, x: true},
		{name: "a category without channels", permissions: of("a:"), listed: true},
		{name: "another category", permissions: of("b")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			grant, listed := tt.permissions.category("a")
			if listed != tt.listed || grant.Allows("x") != tt.x || grant.Allows("y") != tt.y {
				t.Errorf("listed %v, x %v, y %v", listed, grant.Allows("x"), grant.Allows("y"))
			}
		})
	}
}

func TestPermissionsNarrow(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		requested, confirmed, want Permissions
	}{
		{"everything narrowed to everything", everything, everything, everything},
		{"everything narrowed to a category", everything, of("a"), of("a")},
		{"a category narrowed to everything", of("a:x"), everything, of("a:x")},
		{"a category narrowed to channels", of("a"), of("a:x"), of("a:x")},
		{"channels narrowed to a category", of("a:x"), of("a"), of("a:x")},
		{"channels narrowed to channels", of("a:x,y"), of("a:y,z"), of("a:y")},
		{"different channels leave none", of("a:x"), of("a:y"), of("a:")},
		{"different categories leave nothing, not everything", of("a"), of("b"), of()},
		{"a confirmation of nothing leaves nothing", everything, nothing, nothing},
		{"a request for nothing stays nothing", nothing, everything, nothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.confirmed.Confirmed, tt.want.Confirmed = true, true
			if diff := cmp.Diff(tt.want, tt.requested.Narrow(tt.confirmed), cmp.Comparer(func(a, b []string) bool {
				return strings.Join(a, ",") == strings.Join(b, ",")
			})); diff != "" {
				t.Errorf("-expected +narrowed:\n%s", diff)
			}
		})
	}
}

func TestAuthorize(t *testing.T) {
	p := &Project{Categories: map[string]Category{
		"open":    {Name: "open", CategoryOptions: CategoryOptions{Bidirectional: true}},
		"oneway":  {Name: "oneway"},
		"private": {Name: "private", CategoryOptions: CategoryOptions{Private: true, Bidirectional: true}},
	}}
	for _, tt := range []struct {
		name        string
		permissions Permissions
		category    string
		// The errors of the actions; channel is "x".
		subscribe, publish, presence error
	}{
		{"everything, in an open category", everything, "open", nil, nil, nil},
		{"everything, in a one-way category", everything, "oneway", nil, ErrOneWay, nil},
		{"everything, in a private category", everything, "private", ErrCategoryDenied, ErrCategoryDenied, ErrCategoryDenied},
		{"everything, in a category that does not exist", everything, "none", ErrCategoryDenied, ErrCategoryDenied, ErrCategoryDenied},
		{"everything, in the feed", everything, Feed("p").Category, ErrCategoryDenied, ErrCategoryDenied, ErrCategoryDenied},
		{"another channel", of("open:y"), "open", ErrChannelDenied, ErrChannelDenied, ErrChannelDenied},
		{"another channel of a one-way category", of("oneway:y"), "oneway", ErrChannelDenied, ErrOneWay, ErrChannelDenied},
		{"the feed by its name", of(Feed("p").Category), Feed("p").Category, ErrCategoryDenied, ErrCategoryDenied, ErrCategoryDenied},
		{"nothing", nothing, "open", ErrCategoryDenied, ErrCategoryDenied, ErrCategoryDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for action, want := range map[Action]error{Subscribe: tt.subscribe, Publish: tt.publish, ReadPresence: tt.presence} {
				got := authorize(p, Connection{Permissions: tt.permissions}, action, Channel{Project: "p", Category: tt.category, Name: "x"})
				if !errors.Is(got, want) || want == nil && got != nil {
					t.Errorf("action %d: error %v, want %v", action, got, want)
				}
			}
		})
	}
}

// TestAuthorizeByName decides by the names of channels: "$" and "#" require more than a grant that
// the client requested itself, whatever it does.
func TestAuthorizeByName(t *testing.T) {
	p := &Project{Categories: map[string]Category{
		"":        {CategoryOptions: CategoryOptions{Bidirectional: true}},
		"open":    {Name: "open", CategoryOptions: CategoryOptions{Bidirectional: true}},
		"limited": {Name: "limited", CategoryOptions: CategoryOptions{Bidirectional: true, AllowUserLimitedChannels: true}},
		"closed":  {Name: "closed", CategoryOptions: CategoryOptions{Bidirectional: true, AllowUserLimitedChannels: true, Private: true}},
		"regex":   {Name: "regex", CategoryOptions: CategoryOptions{Bidirectional: true, ChannelRegex: "^[a-z]+$"}},
	}}
	for _, tt := range []struct {
		name, user, category, channel string
		// requested and confirmed are the errors with a grant of everything of each kind.
		requested, confirmed *Error
	}{
		{"a dollar", "u", "open", "$x", errPrivateChannel, nil},
		{"a dollar without a category", "u", "", "$x", errPrivateChannel, nil},
		{"a dollar that is not the first character", "u", "open", "x$", nil, nil},
		{"a dollar, and the user is listed", "u", "limited", "$x#u", errPrivateChannel, nil},
		{"the user is listed", "u", "limited", "x#v,u", nil, nil},
		{"others are listed", "u", "limited", "x#v,w", errOthersChannel, nil},
		{"others are listed, for an anonymous client", "", "limited", "x#v,w", errOthersChannel, nil},
		{"nobody is listed, for an anonymous client", "", "limited", "x#", errOthersChannel, nil},
		{"others are listed where that means nothing", "u", "open", "x#v", nil, nil},
		{"nothing is listed", "u", "limited", "x", nil, nil},
		{"the user is listed in a private category", "u", "closed", "x#u", nil, nil},
		{"others are listed in a private category", "u", "closed", "x#v", errPrivateCategory, nil},
		{"nothing is listed in a private category", "u", "closed", "x", errPrivateCategory, nil},
		{"a name that matches", "u", "regex", "abc", nil, nil},
		{"a name that does not match", "u", "regex", "ABC", errChannelName, errChannelName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for permissions, want := range map[*Permissions]*Error{
				{Everything: true}: tt.requested, {Everything: true, Confirmed: true}: tt.confirmed,
			} {
				for _, action := range []Action{Subscribe, Publish, ReadPresence} {
					err := authorize(p, Connection{User: tt.user, Permissions: *permissions}, action, Channel{Category: tt.category, Name: tt.channel})
					decide(t, err, want)
				}
			}
		})
	}
}

// TestRefusalReasons checks that the help of ErrCategoryDenied and ErrChannelDenied
// distinguishes why a channel is refused.
func TestRefusalReasons(t *testing.T) {
	p := &Project{ID: "p", Categories: map[string]Category{
		"open":    {Name: "open"},
		"private": {Name: "private", CategoryOptions: CategoryOptions{Private: true}},
	}}
	confirmed := of("open:x")
	confirmed.Confirmed = true
	for _, tt := range []struct {
		name        string
		permissions Permissions
		category    string
		want        *Error
	}{
		{"a category that does not exist", everything, "none", errUnknownCategory},
		{"a category that does not exist, granted", of("none"), "none", errUnknownCategory},
		{"the feed", everything, Feed("p").Category, errUnknownCategory},
		{"a private category, requested", of("private"), "private", errPrivateCategory},
		{"a private category, not requested", of("open"), "private", errPrivateCategory},
		{"a private category that a token does not grant", confirmed, "private", errPrivateCategory},
		{"a category that is not granted", of("private"), "open", errCategoryNotGranted},
		{"a channel that is not granted", of("open:x"), "open", ErrChannelDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Public(authorize(p, Connection{Permissions: tt.permissions}, Subscribe, Channel{Project: "p", Category: tt.category, Name: "y"}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPermissionsLimits(t *testing.T) {
	names := make([]string, MaxPermissions)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	for _, tt := range []struct {
		name        string
		permissions Permissions
		fails       bool
	}{
		{"as many names as are allowed", Permissions{Categories: map[string]Grant{"a": {Channels: names[1:]}}}, false},
		{"one more", Permissions{Categories: map[string]Grant{"a": {Channels: names}}}, true},
		{"a long category", of(strings.Repeat("x", 256)), true},
		{"a long channel", of("a:" + strings.Repeat("x", 256)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.permissions.Validate(); errors.Is(err, ErrLimitExceeded) != tt.fails {
				t.Errorf("error %v", err)
			}
		})
	}
}
