package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Hooks emits what happens to the application.
type Hooks interface {
	// Emit emits messages that were dispatched, in their order, within seconds for every ten,
	// or until ctx ends. It logs its failures.
	Emit(ctx context.Context, messages ...Message)
	// Report emits events as Emit does messages.
	Report(ctx context.Context, events ...HookEvent)
}

// HookType is the kind of a HookEvent. Rules of the event bus match it.
type HookType string

// The types of events, beside messages.
const (
	// DisconnectHook: a connection that had an identity is over.
	DisconnectHook HookType = "disconnect"
	// UnsubscribeHook: a connection has left a channel, or is over.
	UnsubscribeHook HookType = "unsubscribe"
	// OccupiedHook and VacatedHook: a channel has got its first subscriber, or lost its last.
	OccupiedHook HookType = "occupied"
	VacatedHook  HookType = "vacated"
)

// HookTypes are all types.
var HookTypes = []HookType{DisconnectHook, UnsubscribeHook, OccupiedHook, VacatedHook}

// HookEvent is what happened to a connection, a subscription or a channel. Fields that its Type
// does not name are zero.
type HookEvent struct {
	Type HookType
	// ID is 24 hexadecimal digits. It is the same where the same is emitted again.
	ID   string
	Time time.Time
	// Project is the id of the project, and ProjectName its name.
	Project, ProjectName string
	// Channel and CategoryID are zero for a disconnect.
	Channel    Channel
	CategoryID string
	// Client is whose connection or subscription ended.
	Client Client
	// Ending is why.
	Ending
	// Sequence orders the events of one channel that was occupied or vacated.
	Sequence uint64
}

// Ending is why a connection or a subscription ended. The Code of a connection is that of its
// WebSocket, from 1000, or that of a Disconnection, from 3000; 0 where it is not known. The Code of
// a subscription is that of an Unsubscription.
type Ending struct {
	Code int
	// Reason is for people, "" where it is not known.
	Reason string
}

// connectionLost is the Ending of a connection that API Gateway did not report, and a post found gone.
var connectionLost = Ending{Reason: "connection lost"}

// maxReasonBytes is how much of the reason of a client is kept: as much as WebSocket allows.
const maxReasonBytes = 123

// printable is the reason of a client without what is no text.
func printable(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, reason)
	return strings.ToValidUTF8(reason[:min(len(reason), maxReasonBytes)], "")
}

// hookID makes the id of an event from what it is about: an event that is emitted again, because
// an invocation died, has the same.
func hookID(t HookType, parts ...string) string {
	sum := sha256.Sum256([]byte(string(t) + "\n" + strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:12])
}

// unsubscribes are the events of those of the leaves whose category has UnsubscribeEvents.
func (h *Hub) unsubscribes(projects projects, all []announcement, why Ending) (events []HookEvent) {
	for _, a := range all {
		p := projects[a.connection.Project]
		category, exists := p.categoryIn(a.channel)
		if a.event != Leave || !exists || !category.UnsubscribeEvents {
			continue
		}
		events = append(events, HookEvent{
			Type: UnsubscribeHook, ID: hookID(UnsubscribeHook, a.connection.ID, channelID(a.channel), strconv.Itoa(a.connection.Revision)),
			Time: h.now(), Project: p.ID, ProjectName: p.Name, Channel: a.channel, CategoryID: category.ID,
			Client: a.connection.client(), Ending: why,
		})
	}
	return events
}

// channelID is what an event id knows of a channel.
func channelID(ch Channel) string { return ch.Project + "\n" + ch.Incarnation + "\n" + ch.String() }

// client is how a connection appears to others.
func (c Connection) client() Client { return Client{Connection: c.ID, User: c.User, Info: c.Info} }

// reportEnds emits that connections are over, and their subscriptions with them. It comes before
// they are removed: what is interrupted between the two is repeated, and emitted again. expired are
// those of the subscriptions that had expired before. It takes half of the time of ctx at most, and
// logs its failures.
func (h *Hub) reportEnds(ctx context.Context, closed []Connection, why Ending, expired ...Gone) {
	if h.hooks == nil {
		return
	}
	all := leaves(closed...)
	var ids []string
	for _, c := range closed {
		if c.Watched || len(c.Channels) > 0 {
			ids = append(ids, c.Project)
		}
	}
	projects, err := h.projects(ctx, ids)
	if err != nil {
		h.log.ErrorContext(ctx, "report ends of connections failed", "project", ids[0], "connections", len(closed), "error", err)
		return
	}
	events := h.unsubscribes(projects, all, Ending(UnsubscribedByDisconnect))
	for n, e := range events {
		if slices.ContainsFunc(expired, func(g Gone) bool { return g.Connection == e.Client.Connection && g.Channel == e.Channel }) {
			events[n].Ending = Ending(UnsubscribedExpired)
		}
	}
	for _, c := range closed {
		if p := projects[c.Project]; c.Watched && p != nil && p.Options.DisconnectEvents {
			events = append(events, HookEvent{
				Type: DisconnectHook, ID: hookID(DisconnectHook, c.ID), Time: h.now(),
				Project: p.ID, ProjectName: p.Name, Client: c.client(), Ending: why,
			})
		}
	}
	ctx, cancel := half(ctx)
	defer cancel()
	h.report(ctx, events)
}

func (h *Hub) report(ctx context.Context, events []HookEvent) {
	if len(events) > 0 {
		h.hooks.Report(ctx, events...)
	}
}

// reportTimeout bounds the time that an operation reports what it did, after its answer.
const reportTimeout = 10 * time.Second

// reportChanges emits, after the answer, the unsubscribes of changes of connections, and that
// channels were occupied or vacated by them. It logs its failures.
func (h *Hub) reportChanges(ctx context.Context, all []announcement, why Unsubscription) {
	if h.hooks == nil || len(all) == 0 {
		return
	}
	projects, err := h.projects(ctx, projectsOf(all))
	if err != nil {
		h.log.ErrorContext(ctx, "report changes of subscriptions failed", "project", all[0].connection.Project, "error", err)
		return
	}
	events, occupancy := h.unsubscribes(projects, all, Ending(why)), withOccupancy(projects, all)
	if len(events)+len(occupancy) == 0 {
		return
	}
	h.later(ctx, reportTimeout, func(ctx context.Context) {
		h.report(ctx, events)
		h.settle(ctx, projects, occupancy)
	})
}
