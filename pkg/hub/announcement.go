package hub

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// AnnounceTimeout bounds the time that an operation announces joins and leaves:
	// its caller waits for that.
	AnnounceTimeout = 5 * time.Second
	// maxConcurrentAnnouncements bounds the announcements that one operation sends
	// concurrently. A dispatcher bounds their posts.
	maxConcurrentAnnouncements = 8
)

// announcement is a join or a leave of a connection. A renewal is not announced.
type announcement struct {
	event      Event
	connection Connection
	channel    Channel
	individual
}

// individual is what a join or a leave has of the membership.
type individual struct {
	info      json.RawMessage
	announced *bool
}

// isAnnounced reports whether a join or a leave is announced, in a category.
func (a announcement) isAnnounced(c Category) bool {
	if a.announced != nil {
		return *a.announced
	}
	return c.JoinLeave
}

// client is how the connection appears in the channel.
func (a announcement) client() Client {
	c := a.connection.client()
	c.ChannelInfo = a.info
	return c
}

// leaves are the leaves of connections, from all their channels.
func leaves(connections ...Connection) (all []announcement) {
	for _, c := range connections {
		for ch := range c.Channels {
			all = append(all, announcement{event: Leave, connection: c, channel: ch})
		}
	}
	return all
}

// left are what leaves have of memberships, by connection and channel.
type left map[Gone]individual

// with gives leaves what they have of memberships.
func (l left) with(all []announcement) []announcement {
	for n, a := range all {
		if a.event == Leave {
			all[n].individual = l[Gone{Connection: a.connection.ID, Channel: a.channel}]
		}
	}
	return all
}

// leaving reads subscriptions that are about to end, where their leaves may be announced. It logs
// failures. What is not known of a connection that has an Announced is not announced: nobody may get
// to know of a client that a token hides.
func (h *Hub) leaving(ctx context.Context, all []announcement) left {
	read := make(left)
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(maxConcurrentMarks)
	for _, a := range all {
		if a.event != Leave || !a.connection.ChannelInfo && !a.connection.Announced {
			continue
		}
		g.Go(func() error {
			p, err := h.store.Project(ctx, a.connection.Project)
			if err != nil || !a.connection.Announced && !p.Categories[a.channel.Category].JoinLeave {
				return err
			}
			s, _, err := h.store.ReadSubscriber(ctx, Gone{Connection: a.connection.ID, Channel: a.channel, Shard: a.connection.Channels[a.channel]})
			if a.connection.Announced && (err != nil || s.Hidden || s.Connection == "") {
				s.Announced = new(bool)
			}
			mu.Lock()
			defer mu.Unlock()
			read[Gone{Connection: a.connection.ID, Channel: a.channel}] = individual{s.Info, s.Announced}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		h.log.WarnContext(ctx, "read subscriptions that end failed", "project", all[0].connection.Project, "error", err)
	}
	return read
}

// announce sends those joins and leaves that are announced to their channels.
// Connections that are found gone are closed, and their leaves follow. It logs failures:
// they do not fail the operation.
func (h *Hub) announce(ctx context.Context, all []announcement) {
	messages, err := h.messages(ctx, all)
	if err != nil {
		h.log.ErrorContext(ctx, "announce joins and leaves failed", "project", all[0].connection.Project, "unsent", len(all), "error", err)
	}
	if gone, _ := h.announceAll(ctx, messages); len(gone) > 0 {
		h.later(ctx, cleanupTimeout, func(ctx context.Context) { h.cleanUp(ctx, gone, nil) })
	}
}

// announceAll sends joins and leaves, each to the subscribers of its channel, and returns
// the subscriptions that are gone, and the connections whose announcements were not all
// sent. It finishes even when the caller has left, but ends after AnnounceTimeout and when
// the process may be stopped. It logs failures. Clients then get the right list from
// presence.
func (h *Hub) announceAll(ctx context.Context, messages []addressed) (gone []Gone, unsent map[string]bool) {
	unsent = make(map[string]bool)
	if len(messages) == 0 {
		return nil, unsent
	}
	ctx, cancel := after(ctx, AnnounceTimeout)
	defer cancel()
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(maxConcurrentAnnouncements)
	for i, m := range messages {
		if ctx.Err() != nil {
			h.log.WarnContext(ctx, "announce joins and leaves timed out", "project", m.Channel.Project, "unsent", len(messages)-i)
			mu.Lock()
			for _, m := range messages[i:] {
				unsent[m.Client.Connection] = true
			}
			mu.Unlock()
			break
		}
		g.Go(func() error {
			result, err := h.deliver(ctx, m.project, m.project.audience(m.Channel), m.Message)
			if err == nil {
				err = result.Err()
			}
			if err != nil {
				h.log.ErrorContext(ctx, "announce joins and leaves failed", "project", m.Channel.Project,
					"channel", m.Channel.String(), "connection", m.Client.Connection, "event", m.Event, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			gone = append(gone, result.Gone...)
			if err != nil {
				unsent[m.Client.Connection] = true
			}
			return nil
		})
	}
	_ = g.Wait() // failures have been logged
	return gone, unsent
}

// addressed is a message about a subscription, and its project.
type addressed struct {
	Message
	place   Place
	project *Project
}

// projects are projects by their ids, nil for one that does not exist.
type projects map[string]*Project

// projects reads projects, each once. They are some seconds old at most.
func (h *Hub) projects(ctx context.Context, ids []string) (projects, error) {
	all := make(projects)
	for _, id := range ids {
		if _, read := all[id]; read {
			continue
		}
		p, err := h.store.Project(ctx, id)
		if err != nil && !errors.Is(err, ErrProjectNotFound) {
			return nil, err
		}
		all[id] = p
	}
	return all, nil
}

// projectsOf are the ids of the projects of announcements.
func projectsOf(all []announcement) (ids []string) {
	for _, a := range all {
		ids = append(ids, a.connection.Project)
	}
	return ids
}

// categoryIn returns the category of a channel, and false where the project, which may be nil,
// does not have it any more.
func (p *Project) categoryIn(ch Channel) (Category, bool) {
	if p == nil || ch != p.Locate(ch) {
		return Category{}, false
	}
	category, exists := p.Categories[ch.Category]
	return category, exists
}

// messages are the messages of joins and leaves that are announced. It reads each project once, and
// fails where one cannot be read.
func (h *Hub) messages(ctx context.Context, all []announcement) (messages []addressed, err error) {
	projects, err := h.projects(ctx, projectsOf(all))
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		p := projects[a.connection.Project]
		category, exists := p.categoryIn(a.channel)
		if !exists || !a.isAnnounced(category) || a.event == renewal {
			continue
		}
		messages = append(messages, addressed{Message{
			ID: NewID(h.now()), Channel: a.channel, ProjectName: p.Name, CategoryID: category.ID, Event: a.event, Client: a.client(),
		}, Place{a.channel, a.connection.Channels[a.channel]}, p})
	}
	return messages, nil
}
