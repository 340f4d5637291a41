package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Subscriber is a subscription as a fan-out reads it.
type Subscriber struct {
	Connection string
	Protocol   Protocol
	// Batch is that of the connection.
	Batch bool
	Basis Basis
	// Hidden means that the connection is being closed.
	Hidden bool
	// Info and Announced are those of its Membership. Only ReadSubscriber returns them: a fan-out does
	// not need them.
	Info      json.RawMessage
	Announced *bool
	Standing
}

// Gets reports whether messages of an event are for the subscriber: a classic one gets all, and
// another one joins and leaves only where it asked for them.
func (s Subscriber) Gets(e Event) bool { return e == "" || s.Protocol == Classic || s.JoinLeave }

// Subscriptions reads the subscribers of channels. Connections.ChangeConnection writes
// them.
type Subscriptions interface {
	// RemoveSubscribers removes subscriptions that no connection names. One that does not
	// exist is no error. One request for every 25.
	RemoveSubscribers(ctx context.Context, orphans []Gone) error
	// Subscribers yields the subscribers of one shard of a channel, page by page as
	// they are read: all those whose subscription was acknowledged before the call,
	// also those that are Joining, Lost or Expired, and none whose connection has expired. A page does not change once it is yielded. After an
	// error it yields nothing more. It ends soon after ctx does.
	Subscribers(ctx context.Context, ch Channel, shard int) iter.Seq2[[]Subscriber, error]
}

// Refusal is a channel that a subscribe was refused, and the reason.
type Refusal struct {
	Channel Channel
	Reason  *Error
}

// Subscribe subscribes a connection to channels of its project, and returns the channels
// that it was refused. It has no effect on a channel for which a later command has been
// carried out. It fails with ErrUnauthorized, ErrTokenExpired, ErrBadRequest,
// ErrLimitExceeded or ErrTooManyRequests, and has then subscribed to nothing.
func (h *Hub) Subscribe(ctx context.Context, cmd Command, channels []Channel) ([]Refusal, error) {
	cmd.channels = len(channels)
	c, p, err := h.authenticated(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if n := len(channels); n > MaxChannels {
		return nil, ErrLimitExceeded.With(fmt.Sprintf("%d channels in one command, at most %d a connection are allowed", n, MaxChannels))
	}
	for _, ch := range channels {
		if err := ch.Validate(); err != nil {
			return nil, err
		}
	}
	if len(channels) == 0 {
		return nil, nil
	}
	// Read after the connection, and not from a cache: a channel that the connection names
	// in another incarnation than the project has is over, and the subscription that is
	// acknowledged is in the present one.
	if p, err = h.store.ReadProject(ctx, p.ID); err != nil {
		return nil, err
	}
	ended := h.ended(p, c)
	var refused []Refusal
	err = h.change(ctx, c, UnsubscribedInsufficientState, func(c Connection) (Change, error) {
		if err := h.valid(p, c); err != nil {
			return Change{}, err
		}
		var granted []Channel
		if granted, refused = grants(p, c, channels); len(granted) == 0 {
			return Change{Connection: c}, nil
		}
		return h.join(p, c, without(c.Channels, common(ended, h.ended(p, c))), granted, cmd)
	})
	return refused, err
}

// grants divides channels into those of the project that the connection may subscribe to,
// and the others.
func grants(p *Project, c Connection, channels []Channel) (granted []Channel, refused []Refusal) {
	for _, ch := range channels {
		ch = p.Locate(ch)
		if err := authorize(p, c, Subscribe, ch); err != nil {
			refused = append(refused, Refusal{ch, Public(err)})
			continue
		}
		granted = append(granted, ch)
	}
	return granted, refused
}

// join is the change of a connection that a subscribe makes. channels are those that the
// connection keeps.
func (h *Hub) join(p *Project, c Connection, channels map[Channel]int, join []Channel, cmd Command) (Change, error) {
	at := cmd.received(h.now())
	var joined []Channel
	for _, ch := range join {
		overtaken, err := c.Order.overtaken(ch, at)
		if err != nil {
			return Change{}, err
		}
		if overtaken {
			continue
		}
		if _, subscribed := channels[ch]; !subscribed {
			channels[ch] = shardOf(c.ID, p.Categories[ch.Category].SubscribeShards(h.now()))
		}
		joined = append(joined, ch)
	}
	if err := checkChannels(channels); err != nil {
		return Change{}, err
	}
	c.Channels, c.Order = channels, c.Order.with(joined, at, h.now())
	return Change{Connection: c, Renew: joined}, nil
}

// ended are the channels of a connection to which it has no right any more. p was read
// after c. The rights of a client that numbers its commands are those of its subscriptions: only
// what a fan-out has found tells that they have ended.
func (h *Hub) ended(p *Project, c Connection) []Channel {
	var ended []Channel
	for ch := range c.Channels {
		if ch.inFeed() {
			continue
		}
		if ch.Incarnation != p.Categories[ch.Category].Incarnation || c.Protocol == Classic && authorize(p, c, Subscribe, ch) != nil {
			ended = append(ended, ch)
		}
	}
	return ended
}

// common are the channels that are in both lists.
func common(a, b []Channel) []Channel {
	return slices.DeleteFunc(slices.Clone(a), func(ch Channel) bool { return !slices.Contains(b, ch) })
}

// without is a copy of channels without some of them.
func without(channels map[Channel]int, some []Channel) map[Channel]int {
	rest := maps.Clone(channels)
	if rest == nil {
		rest = make(map[Channel]int)
	}
	for _, ch := range some {
		delete(rest, ch)
	}
	return rest
}

// Unsubscribe removes a connection from channels of its project. It ignores channels that
// the connection is not in, and those for which a later command has been carried out. It
// fails with ErrUnauthorized, ErrTokenExpired, ErrLimitExceeded or ErrTooManyRequests.
func (h *Hub) Unsubscribe(ctx context.Context, cmd Command, channels []Channel) error {
	cmd.channels = len(channels)
	c, p, err := h.authenticated(ctx, cmd)
	if err != nil {
		return err
	}
	if n := len(channels); n > MaxChannels {
		return ErrLimitExceeded.With(fmt.Sprintf("%d channels in one command, at most %d a connection are allowed", n, MaxChannels))
	}
	// A connection is in no channel of a name that is not valid.
	channels = slices.DeleteFunc(slices.Clone(channels), func(ch Channel) bool { return ch.Validate() != nil })
	if len(channels) == 0 {
		return nil
	}
	at := cmd.received(h.now())
	return h.change(ctx, c, UnsubscribedByClient, func(c Connection) (Change, error) {
		var left []Channel
		keep := without(c.Channels, nil)
		for _, ch := range channels {
			overtaken, err := c.Order.overtaken(ch, at)
			if err != nil {
				return Change{}, err
			}
			if !overtaken {
				left = append(left, p.Locate(ch))
			}
		}
		maps.DeleteFunc(keep, func(ch Channel, _ int) bool {
			return slices.ContainsFunc(left, func(l Channel) bool { return l.Category == ch.Category && l.Name == ch.Name })
		})
		remove := h.unnamed(p, c, left)
		c.Channels, c.Order = keep, c.Order.with(left, at, h.now())
		return Change{Connection: c, Remove: remove}, nil
	})
}

// UnsubscribeUser removes connections of a user from the selected channels. It does nothing
// for the anonymous user without a client: that user has no connections of its own. It fails
// with ErrLimitExceeded for a name that is too long. A repeated call finishes what an
// interrupted one left.
func (h *Hub) UnsubscribeUser(ctx context.Context, p *Project, user string, r UnsubscribeRequest) error {
	if user == "" && r.Client == "" {
		return nil
	}
	from := r.From
	connections, err := h.clients(ctx, p, user, r.Client)
	if err != nil {
		return err
	}
	named, wide := from.channels(p), from.wide()
	// A connection that is being closed cannot be changed. The invocation that was to close
	// its socket may have died: until the next message finds that, it receives nothing here.
	var closing []Connection
	for _, c := range connections {
		if c.Closing {
			maps.DeleteFunc(c.Channels, func(ch Channel, _ int) bool { return !from.contains(ch) })
			closing = append(closing, c)
		}
	}
	if err := h.hide(ctx, closing); err != nil {
		return err
	}
	return h.changeAll(ctx, connections, UnsubscribedByServer, func(c Connection) (Change, error) {
		// What is named is ended whether or not the connection is in it: a subscribe may be on
		// its way.
		left, order := slices.Clone(named), c.Order
		if len(named) > maxOrdered {
			// All subscribes that were received before are refused, and not only these.
			left, order = nil, order.forgetting(h.now())
		}
		var remove []Place
		if len(left) <= MaxChannels { // each is a write for every connection
			remove = h.unnamed(p, c, left)
		}
		for ch := range c.Channels {
			if from.contains(ch) && !ch.inFeed() && !slices.Contains(left, ch) {
				left = append(left, ch)
			}
		}
		c.Channels, c.Order = without(c.Channels, left), order.with(slices.Concat(wide, left), h.now(), h.now())
		return Change{Connection: c, Remove: remove}, nil
	})
}

// unnamed are the places of channels that the connection does not name: versions before
// this one could leave subscriptions there.
func (h *Hub) unnamed(p *Project, c Connection, channels []Channel) (places []Place) {
	for _, ch := range channels {
		if _, named := c.Channels[ch]; !named {
			places = append(places, Place{ch, shardOf(c.ID, p.Categories[ch.Category].SubscribeShards(h.now()))})
		}
	}
	return places
}

// change changes a connection and announces the joins and leaves. why is of the leaves.
func (h *Hub) change(ctx context.Context, c Connection, why Unsubscription, plan func(Connection) (Change, error)) error {
	_, all, err := h.changeConnection(ctx, c, plan)
	h.conclude(ctx, all, why)
	return err
}

// conclude announces joins and leaves, and reports them. why is of the leaves.
func (h *Hub) conclude(ctx context.Context, all []announcement, why Unsubscription) {
	h.announce(ctx, all)
	h.reportChanges(ctx, all, why)
}

// changeConnection changes a connection, and returns the joins, leaves and renewals.
func (h *Hub) changeConnection(ctx context.Context, c Connection, plan func(Connection) (Change, error)) (after Connection, all []announcement, err error) {
	var (
		change Change
		read   = make(left)
	)
	before, after, err := h.store.ChangeConnection(ctx, c, func(c Connection) (_ Change, err error) {
		if change, err = plan(c); err == nil && (c.ChannelInfo || c.Announced) {
			maps.Copy(read, h.leaving(ctx, difference(c, change.Connection))) // nobody knows it after the change
		}
		return change, err
	})
	return after, read.with(append(difference(before, after), h.renewals(before, after, change)...)), err
}

// changeAll changes several connections concurrently, announces the joins and leaves, and notifies
// clients that number their commands of the leaves. Connections that are over are ignored. After ctx
// has ended it begins no more changes.
func (h *Hub) changeAll(ctx context.Context, connections []Connection, why Unsubscription, plan func(Connection) (Change, error)) error {
	var (
		mu     sync.Mutex
		all    []announcement
		failed failures
		g      errgroup.Group
	)
	g.SetLimit(maxConcurrentCloses)
	for _, c := range connections {
		g.Go(func() error {
			some, err := h.changeOne(ctx, c, plan)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, some...)
			if !errors.Is(err, ErrConnectionNotFound) {
				failed.add(err)
			}
			return nil
		})
	}
	_ = g.Wait() // failed has the failures
	// Clients are notified of what was written even after ctx has ended: nothing finds it later.
	ctx, cancel := after(ctx, concludeTimeout)
	defer cancel()
	failed.add(h.notify(ctx, all, why))
	h.conclude(ctx, all, why)
	return failed.err()
}

// changeOne is changeConnection for a change that is finished once it has begun, so that what is
// written is known.
func (h *Hub) changeOne(ctx context.Context, c Connection, plan func(Connection) (Change, error)) ([]announcement, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("change connection %s: %w", c.ID, err)
	}
	ctx, cancel := after(ctx, concludeTimeout)
	defer cancel()
	_, all, err := h.changeConnection(ctx, c, plan)
	return all, err
}

// notify notifies clients that number their commands of their leaves. A client that cannot be
// notified connects again, and subscribes.
func (h *Hub) notify(ctx context.Context, all []announcement, why Unsubscription) error {
	var (
		notices    []Notice
		unnotified []string
	)
	for _, a := range all {
		switch {
		case a.event != Leave || a.connection.Protocol == Classic:
		case a.connection.LoggingIn:
			unnotified = append(unnotified, a.connection.ID)
		default:
			notices = append(notices, why.notice(a.connection.ID, a.connection.Protocol, a.channel))
		}
	}
	_, err := h.inform(ctx, notices, unnotified)
	return err
}

// difference are the joins and leaves of a change of a connection.
func difference(before, after Connection) (all []announcement) {
	for ch := range before.Channels {
		if _, stays := after.Channels[ch]; !stays || before.User != after.User {
			all = append(all, announcement{event: Leave, connection: before, channel: ch})
		}
	}
	for ch := range after.Channels {
		if _, was := before.Channels[ch]; !was || before.User != after.User {
			all = append(all, announcement{event: Join, connection: after, channel: ch})
		}
	}
	return all
}
