package admin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// maxChannelRows limits the channels on a page to those with most subscribers.
	maxChannelRows = 500
	// maxUserRows limits the users on a page to those with most connections.
	maxUserRows = 200
	// maxConnectionRows limits the connections of a user on a page.
	maxConnectionRows = 200
	// maxUsageItems and maxUsageTime limit what a page reads of the table. An item has some
	// hundred bytes: this is some 50 megabytes, and the time of Lambda is 29 s.
	maxUsageItems = 200_000
	maxUsageTime  = 10 * time.Second
	// maxListed limits the channels shown of a connection or a grant, and the categories
	// shown of permissions.
	maxListed = 20
)

// within is how much of the table a page reads.
var within = hub.Bound{Items: maxUsageItems, Time: maxUsageTime}

// channelsData is the data of channels.html.
type channelsData struct {
	Pattern, Problem string
	// Clients and Users are totals of the project, Channels and Subscriptions totals of
	// the channels that match the pattern.
	Clients, Users, Channels, Subscriptions string
	Rows                                    []channelRow
	// More is the number of channels not in Rows.
	More int
	// Absent is the pattern where it is the name of a channel, in a category that exists, and
	// the channel has no subscribers. It may have a history.
	Absent string
	// Partial reports that the table is too large to be read for a page.
	Partial bool
}

type channelRow struct {
	Name        string
	Subscribers string
	// Presence reports whether the channel's category has the option.
	Presence bool
}

// channelsPage handles GET /admin/projects/{project}/channels?pattern=….
func (s *site) channelsPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	d := channelsData{Pattern: r.URL.Query().Get("pattern")}
	usage, err := s.Hub.UsageWithin(r.Context(), p, d.Pattern, within)
	switch {
	case errors.Is(err, hub.ErrBadRequest):
		d.Problem = hub.Public(err).Error()
		s.render(w, r, http.StatusBadRequest, "channels.html", d)
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	d.count(p, usage)
	if ch, err := hub.ParseChannel(p.ID, d.Pattern); err == nil && len(d.Rows) == 0 && !strings.ContainsAny(d.Pattern, `*?[\`) {
		if _, exists := p.Categories[ch.Category]; exists {
			d.Absent = d.Pattern
		}
	}
	s.render(w, r, http.StatusOK, "channels.html", d)
}

// count fills in the usage of a project.
func (d *channelsData) count(p *hub.Project, u hub.Usage) {
	all := slices.SortedFunc(maps.Keys(u.Subscribers), func(a, b hub.Channel) int {
		return cmp.Or(cmp.Compare(u.Subscribers[b], u.Subscribers[a]), cmp.Compare(a.String(), b.String()))
	})
	subscriptions := 0
	for i, ch := range all {
		n := u.Subscribers[ch]
		subscriptions += n
		if i < maxChannelRows {
			d.Rows = append(d.Rows, channelRow{Name: ch.String(), Subscribers: group(n), Presence: p.Categories[ch.Category].Presence})
		}
	}
	d.More, d.Partial = len(all)-len(d.Rows), u.Partial
	d.Clients, d.Users, d.Channels, d.Subscriptions = group(u.Clients), group(len(u.Users)), group(len(all)), group(subscriptions)
}

// usersData is the data of users.html.
type usersData struct {
	User, Problem string
	// Searched reports whether the request names a user. Otherwise Users are those that
	// are connected, and MoreUsers is the number of those not in Users.
	Searched  bool
	Users     []userRow
	MoreUsers int
	// Partial reports that the table is too large to be read for a page.
	Partial bool
	// Anonymous is the number of connections without a user.
	Anonymous string
	Rows      []connectionRow
	// More is the number of connections not in Rows.
	More int
	// Channels are the channels of all connections.
	Channels []string
}

// userRow is a connected user.
type userRow struct{ Name, Connections string }

type connectionRow struct {
	ID, Protocol, Origin string
	// Channels are sorted. MoreChannels is the number of those beyond maxListed.
	Channels     []string
	MoreChannels int
	Permissions  []string
	// Confirmed reports whether the application granted the permissions.
	Confirmed bool
	Info      string
	Expires   time.Time
}

// usersPage handles GET /admin/projects/{project}/users?user=…. Without a user it lists
// the users that are connected.
func (s *site) usersPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	d := usersData{User: r.URL.Query().Get("user"), Searched: r.URL.Query().Has("user")}
	if !d.Searched {
		usage, err := s.Hub.UsageWithin(r.Context(), p, "", within)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		d.listUsers(usage)
		s.render(w, r, http.StatusOK, "users.html", d)
		return
	}
	connections, err := s.Hub.UserConnections(r.Context(), p, d.User)
	switch {
	case errors.Is(err, hub.ErrBadRequest), errors.Is(err, hub.ErrLimitExceeded):
		d.Problem = hub.Public(err).Error()
		s.render(w, r, http.StatusBadRequest, "users.html", d)
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	d.list(connections)
	s.render(w, r, http.StatusOK, "users.html", d)
}

// listUsers fills in the connected users, those with most connections first.
func (d *usersData) listUsers(u hub.Usage) {
	all := slices.SortedFunc(maps.Keys(u.Users), func(a, b string) int {
		return cmp.Or(cmp.Compare(u.Users[b], u.Users[a]), cmp.Compare(a, b))
	})
	named := 0
	for i, name := range all {
		named += u.Users[name]
		if i < maxUserRows {
			d.Users = append(d.Users, userRow{name, group(u.Users[name])})
		}
	}
	d.MoreUsers, d.Partial = len(all)-len(d.Users), u.Partial
	if n := u.Clients - named; n > 0 {
		d.Anonymous = group(n)
	}
}

// list fills in the connections, those that expire last first.
func (d *usersData) list(connections []hub.Connection) {
	slices.SortFunc(connections, func(a, b hub.Connection) int {
		return cmp.Or(b.Until().Compare(a.Until()), cmp.Compare(a.ID, b.ID))
	})
	in := make(map[string]bool)
	for i, c := range connections {
		var names []string
		for ch := range c.Channels {
			names = append(names, ch.String())
			in[ch.String()] = true
		}
		if i >= maxConnectionRows {
			continue
		}
		slices.Sort(names)
		d.Rows = append(d.Rows, connectionRow{
			ID: c.ID, Protocol: string(c.Protocol), Origin: c.Origin,
			Channels: names[:min(len(names), maxListed)], MoreChannels: max(len(names)-maxListed, 0),
			Permissions: granted(c.Permissions), Confirmed: c.Permissions.Confirmed,
			Info: string(c.Info), Expires: c.Until().UTC(),
		})
	}
	d.More = len(connections) - len(d.Rows)
	d.Channels = slices.Sorted(maps.Keys(in))
}

// granted describes permissions, with one line for each category.
func granted(p hub.Permissions) []string {
	if p.Everything {
		return []string{"all channels"}
	}
	if len(p.Categories) == 0 {
		return []string{"nothing"}
	}
	var lines []string
	for i, name := range slices.Sorted(maps.Keys(p.Categories)) {
		g := p.Categories[name]
		name = categoryLabel(name)
		switch {
		case i == maxListed:
			return append(lines, fmt.Sprintf("and %d more categories", len(p.Categories)-maxListed))
		case g.Whole:
			lines = append(lines, name+": all channels")
		case len(g.Channels) == 0:
			lines = append(lines, name+": no channel")
		case len(g.Channels) > maxListed:
			lines = append(lines, fmt.Sprintf("%s: %s and %d more", name, strings.Join(g.Channels[:maxListed], ", "), len(g.Channels)-maxListed))
		default:
			lines = append(lines, name+": "+strings.Join(g.Channels, ", "))
		}
	}
	return lines
}
