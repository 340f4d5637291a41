package hub

import "time"

// Feed is the channel in which the administrators of a project get the messages of
// all its categories with PublishToAdmins. Its category has a name that no category
// can have, so that no client and no application can use it: only the identity of
// FeedIdentity subscribes to it.
func Feed(project string) Channel { return Channel{Project: project, Category: ":admin", Name: "feed"} }

// FeedIdentity is the identity of an administrator's page that shows the feed of a
// project until expires. It is granted nothing else. Its page is not served by the
// project's origins.
func FeedIdentity(project string, expires time.Time) Identity {
	return Identity{
		Permissions: &Permissions{Confirmed: true}, Expires: expires,
		Channels: []Channel{Feed(project)}, AnyOrigin: true,
	}
}

// audiences are the subscribers that a message in a channel goes to.
func audiences(category Category, ch Channel) []Audience {
	to := []Audience{{Channel: ch, Shards: category.ShardCount()}}
	if category.PublishToAdmins {
		to = append(to, Audience{Channel: Feed(ch.Project), Shards: 1})
	}
	return to
}

// withoutFeed removes the feed from what a project uses: it is no channel of a client.
func withoutFeed(u Usage, project string) Usage {
	delete(u.Subscribers, Feed(project))
	return u
}
