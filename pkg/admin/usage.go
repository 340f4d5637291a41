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
	// maxChannelRows is how many channels a page lists: those with most subscribers.
	maxChannelRows = 500
	// maxConnectionRows is how many connections of a user a page lists.
	maxConnectionRows = 200
	// maxNamed is how many channels of a connection, or of a grant, are named.
	maxNamed = 20
)

// channelsData is the data of channels.html.
type channelsData struct {
	Pattern, Problem string
	// Totals are of the project, but for Channels and Subscriptions, which are of
	// what matches the pattern.
	Clients, Users, Channels, Subscriptions string
	Rows                                    []channelRow
	// More is how many channels Rows leaves out.
	More int
}

type channelRow struct {
	Name        string
	Subscribers string
	// Presence tells whether the channel's category has it.
	Presence bool
}

// channels answers GET /admin/projects/{project}/channels?pattern=….
func (s *site) channels(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	d := channelsData{Pattern: r.URL.Query().Get("pattern")}
	usage, err := s.Hub.Usage(r.Context(), p, d.Pattern)
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
	s.render(w, r, http.StatusOK, "channels.html", d)
}

// count fills in what was measured.
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
	d.More = len(all) - len(d.Rows)
	d.Clients, d.Users, d.Channels, d.Subscriptions = group(u.Clients), group(u.Users), group(len(all)), group(subscriptions)
}

// usersData is the data of users.html.
type usersData struct {
	User, Problem string
	// Asked tells that a user was looked for.
	Asked bool
	Rows  []connectionRow
	// More is how many connections Rows leaves out.
	More int
	// Channels are those that any connection is in, to be taken out of.
	Channels []string
}

type connectionRow struct {
	ID, Protocol, Origin string
	// Channels are in order, MoreChannels those beyond maxNamed.
	Channels     []string
	MoreChannels int
	Permissions  []string
	// Confirmed tells that the application granted the permissions.
	Confirmed bool
	Info      string
	Expires   time.Time
}

// users answers GET /admin/projects/{project}/users?user=….
func (s *site) users(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	d := usersData{User: r.URL.Query().Get("user"), Asked: r.URL.Query().Has("user")}
	if !d.Asked {
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

// list fills in the connections, those that stay longest first.
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
			Channels: names[:min(len(names), maxNamed)], MoreChannels: max(len(names)-maxNamed, 0),
			Permissions: granted(c.Permissions), Confirmed: c.Permissions.Confirmed,
			Info: string(c.Info), Expires: c.Until().UTC(),
		})
	}
	d.More = len(connections) - len(d.Rows)
	d.Channels = slices.Sorted(maps.Keys(in))
}

// granted says what permissions grant, a line for each category.
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
		switch {
		case i == maxNamed:
			return append(lines, fmt.Sprintf("and %d categories more", len(p.Categories)-maxNamed))
		case g.Whole:
			lines = append(lines, name+": all channels")
		case len(g.Channels) == 0:
			lines = append(lines, name+": no channel")
		case len(g.Channels) > maxNamed:
			lines = append(lines, fmt.Sprintf("%s: %s and %d more", name, strings.Join(g.Channels[:maxNamed], ", "), len(g.Channels)-maxNamed))
		default:
			lines = append(lines, name+": "+strings.Join(g.Channels, ", "))
		}
	}
	return lines
}
