package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Feed is the channel in which the administrators of a project get the messages of
// all its categories with PublishToAdmins. Its category has a name that no category
// can have, so that no client and no application can use it: only a ConnectionToken with the
// feed among its Subscriptions subscribes to it, which the admin pages make.
func Feed(project string) Channel { return Channel{Project: project, Category: ":admin", Name: "feed"} }

// inFeed reports whether the channel is the feed of its project.
func (c Channel) inFeed() bool { return c == Feed(c.Project) }

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
	shown := make([]Message, len(messages))
	var result Result
	var err error
	for i, m := range messages {
		if shown[i], err = inFeed(m); err != nil {
			break
		}
	}
	if err == nil {
		result, err = h.deliver(ctx, p, p.audience(Feed(p.ID)), shown...)
	}
	if err == nil {
		err = result.Err()
	}
	if known := new(Error); err != nil && !errors.As(err, &known) {
		h.log.WarnContext(ctx, "dispatch to feed failed", "project", p.ID, "message", messages[0].ID, "error", err)
	}
	return result
}

// FeedEntry is the data of a message in the feed.
type FeedEntry struct {
	// Category and Channel are where the message was published, ID is its event id.
	Category string `json:"category"`
	Channel  string `json:"channel"`
	ID       string `json:"id"`
	// Text is the JSON text that was published: clients that decode JSON round long numbers,
	// and forget the order of keys. Cut means that it is the beginning of the text, where the
	// whole is too large for a push of the feed.
	Text string `json:"text"`
	Cut  bool   `json:"cut,omitempty"`
}

// maxFeedEntry bounds an encoded FeedEntry. The rest of MaxMessageBytes is for what a protocol
// adds.
const maxFeedEntry = MaxMessageBytes - 4<<10

// inFeed is a message as the feed has it. Its position in its stream is none in the feed.
func inFeed(m Message) (Message, error) {
	entry := FeedEntry{Category: m.Channel.Category, Channel: m.Channel.Name, ID: m.ID, Text: string(m.Data)}
	for {
		data, err := encodeFeedEntry(entry)
		if err != nil {
			return Message{}, fmt.Errorf("encode an entry of the feed: %w", err)
		}
		if len(data) <= maxFeedEntry {
			return Message{ID: m.ID, Channel: Feed(m.Channel.Project), ProjectName: m.ProjectName, Data: data}, nil
		}
		entry.Text, entry.Cut = strings.ToValidUTF8(entry.Text[:len(entry.Text)/2], ""), true
	}
}

// encodeFeedEntry is json.Marshal without escaping <, > and &, which would take six bytes each.
func encodeFeedEntry(e FeedEntry) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
