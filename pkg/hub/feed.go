package hub

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Feed is the channel in which the administrators of a project get the messages of
// all its categories with PublishToAdmins. Its category has a name that no category
// can have, so that no client and no application can use it: only the identity of
// FeedIdentity subscribes to it.
func Feed(project string) Channel { return Channel{Project: project, Category: ":admin", Name: "feed"} }

// inFeed reports whether the channel is the feed of its project.
func (c Channel) inFeed() bool { return c == Feed(c.Project) }

// FeedIdentity is the identity of an administrator's page that shows the feed of a
// project until expires. It is granted nothing else. The page is on an origin that the
// project need not list.
func FeedIdentity(project string, expires time.Time) Identity {
	return Identity{
		Permissions: &Permissions{Confirmed: true}, Expires: expires,
		Channels: []Channel{Feed(project)}, AnyOrigin: true,
	}
}

// dispatch sends a message to the subscribers of its channel and, concurrently, to the
// feed where the category has PublishToAdmins. The feed fails no publish, and its posts
// are not among those of the channel.
func (h *Publisher) dispatch(ctx context.Context, p *Project, m Message) (channel, feed Result, err error) {
	var watched sync.WaitGroup
	if p.Categories[m.Channel.Category].PublishToAdmins {
		watched.Go(func() { feed = h.dispatchToFeed(ctx, p, m) })
	}
	channel, err = h.deliver(ctx, p, p.audience(m.Channel), m)
	watched.Wait()
	return channel, feed, err
}

func (h *Publisher) dispatchToFeed(ctx context.Context, p *Project, messages ...Message) Result {
	result, err := h.deliver(ctx, p, p.audience(Feed(p.ID)), messages...)
	if err == nil {
		err = result.Err()
	}
	if known := new(Error); err != nil && !errors.As(err, &known) {
		h.log.WarnContext(ctx, "dispatch to feed failed", "project", p.ID, "message", messages[0].ID, "error", err)
	}
	return result
}
