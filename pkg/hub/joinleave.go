package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// tellFor bounds how long an operation goes on telling who joined or left: its
	// caller waits for that, and its Lambda ends soon after 29 s.
	tellFor = 5 * time.Second
	// tellAtOnce bounds how many of these messages are under way at once; their posts
	// are bounded by delivery.
	tellAtOnce = 8
)

// post delivers a message, removes the connections that turn out to be over and
// returns them, as they were.
func (h *Hub) post(ctx context.Context, m Message, to []Audience) (Report, []Connection, error) {
	var (
		mu   sync.Mutex
		dead []Connection
	)
	report, err := h.Delivery.Deliver(ctx, m, to, func(ctx context.Context, at Place) error {
		c, err := h.Connections.CloseConnection(ctx, at.Connection)
		if c.Project != "" {
			mu.Lock()
			dead = append(dead, c)
			mu.Unlock()
		}
		// Its connection may not have named this subscription.
		return errors.Join(err, h.Subscriptions.DropSubscriber(ctx, at))
	})
	return report, dead, err
}

// news is word of one connection for one channel.
type news struct {
	event Event
	of    Connection
	in    Channel
}

// left is word for all channels that connections were in.
func left(connections ...Connection) (all []news) {
	for _, c := range connections {
		for ch := range c.Channels {
			all = append(all, news{Leave, c, ch})
		}
	}
	return all
}

// tell sends news to those channels whose category has JoinLeave. Whoever turns out
// to be over meanwhile is told of in turn, after all others have been: so the dead
// are not posted to again. It concerns nobody who could be told of a failure, and
// ends after tellFor: what is untold then is logged, and clients learn it by asking
// who is there.
func (h *Hub) tell(ctx context.Context, all []news) {
	if len(all) == 0 {
		return // as after most messages, which find nobody gone
	}
	// The caller may have gone by now; what it started is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellFor)
	defer cancel()
	for messages := h.messages(ctx, all); len(messages) > 0; messages = h.messages(ctx, all) {
		var (
			mu   sync.Mutex
			dead []Connection
			g    errgroup.Group
		)
		g.SetLimit(tellAtOnce)
		for i, m := range messages {
			if ctx.Err() != nil {
				h.Log.WarnContext(ctx, "not everybody is told who joined or left", "project", m.Channel.Project, "untold", len(messages)-i)
				break
			}
			g.Go(func() error {
				_, gone, err := h.post(ctx, m.Message, []Audience{{Channel: m.Channel, Shards: m.shards}})
				if err != nil {
					h.Log.ErrorContext(ctx, "not everybody is told", "event", m.Event, "connection", m.Client.Connection, "channel", m.Channel.String(), "error", err)
				}
				mu.Lock()
				defer mu.Unlock()
				dead = append(dead, gone...)
				return nil
			})
		}
		_ = g.Wait() // failures have been logged
		all = left(dead...)
	}
}

// announcement is a message for the subscribers of its channel.
type announcement struct {
	Message
	shards int
}

// messages are what has to be sent of some news. It reads each project once.
func (h *Hub) messages(ctx context.Context, all []news) (messages []announcement) {
	projects := make(map[string]*Project)
	for _, n := range all {
		p, read := projects[n.of.Project]
		if !read {
			var err error
			if p, err = h.Projects.Project(ctx, n.of.Project); err != nil && !errors.Is(err, ErrProjectNotFound) {
				h.Log.ErrorContext(ctx, "nobody is told who joined or left", "project", n.of.Project, "error", err)
			}
			projects[n.of.Project] = p
		}
		if p == nil || !p.Categories[n.in.Category].JoinLeave {
			continue
		}
		category := p.Categories[n.in.Category]
		messages = append(messages, announcement{Message{
			ID: NewID(h.Now()), Channel: n.in, ProjectName: p.Name, CategoryID: category.ID,
			Event: n.event, Client: Client{Connection: n.of.ID, User: n.of.User, Info: n.of.Info},
		}, category.ShardCount()})
	}
	return messages
}
