package hub

import (
	"context"
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

// announcement is a join or a leave of a connection.
type announcement struct {
	event      Event
	connection Connection
	channel    Channel
}

// leaves are the leaves of connections, from all their channels.
func leaves(connections ...Connection) (all []announcement) {
	for _, c := range connections {
		for ch := range c.Channels {
			all = append(all, announcement{Leave, c, ch})
		}
	}
	return all
}

// announce sends joins and leaves to the channels whose category has JoinLeave.
// Connections that are found gone are cleaned up, and their leaves follow after all
// others, so that nothing is posted to them again. It logs failures: they do not fail the
// operation. It finishes even when the caller has left, but ends after AnnounceTimeout and
// when the process may be stopped, and logs how many announcements were not sent. Clients
// then get the right list from presence.
func (h *Hub) announce(ctx context.Context, all []announcement) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := after(ctx, AnnounceTimeout)
	defer cancel()
	for len(all) > 0 {
		gone := h.dispatchAll(ctx, h.messages(ctx, all))
		all = leaves(h.cleanUp(ctx, gone)...)
	}
}

// dispatchAll sends messages, each to the subscribers of its channel, and returns the
// subscriptions that are gone.
func (h *Hub) dispatchAll(ctx context.Context, messages []addressed) (gone []Gone) {
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(maxConcurrentAnnouncements)
	for i, m := range messages {
		if ctx.Err() != nil {
			h.log.WarnContext(ctx, "announce joins and leaves timed out", "project", m.Channel.Project, "unsent", len(messages)-i)
			break
		}
		g.Go(func() error {
			result, err := h.dispatcher.Dispatch(ctx, m.Audience, []Message{m.Message})
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
			return nil
		})
	}
	_ = g.Wait() // failures have been logged
	return gone
}

// addressed is a message and its audience.
type addressed struct {
	Message
	Audience Audience
}

// messages are the messages of announcements in categories with JoinLeave. It reads
// each project once.
func (h *Hub) messages(ctx context.Context, all []announcement) (messages []addressed) {
	projects := make(map[string]*Project)
	for _, a := range all {
		p, read := projects[a.connection.Project]
		if !read {
			var err error
			if p, err = h.store.Project(ctx, a.connection.Project); err != nil && !errors.Is(err, ErrProjectNotFound) {
				h.log.ErrorContext(ctx, "announce joins and leaves failed", "project", a.connection.Project, "unsent", len(all), "error", err)
			}
			projects[a.connection.Project] = p
		}
		if p == nil || !p.Categories[a.channel.Category].JoinLeave {
			continue
		}
		category := p.Categories[a.channel.Category]
		messages = append(messages, addressed{Message{
			ID: NewID(h.now()), Channel: a.channel, ProjectName: p.Name, CategoryID: category.ID, Event: a.event,
			Client: Client{Connection: a.connection.ID, User: a.connection.User, Info: a.connection.Info},
		}, Audience{a.channel, category.ShardCount()}})
	}
	return messages
}
