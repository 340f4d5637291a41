package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
)

type channels struct {
	Pattern string `arg:"" optional:"" help:"Only channels that match a pattern of shell wildcards, such as 'chat:*'."`
}

// Run implements the command.
func (c *channels) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	found, err := client.Channels(ctx, c.Pattern)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(found)
	}
	rows := [][]string{{"CHANNEL", "CLIENTS"}}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		rows = append(rows, []string{name, strconv.Itoa(found[name])})
	}
	return s.table(rows)
}

type info struct{}

// Run implements the command.
func (*info) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	nodes, err := client.Info(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(nodes)
	}
	rows := [][]string{{"NODE", "VERSION", "CLIENTS", "USERS", "CHANNELS", "SUBSCRIPTIONS"}}
	for _, n := range nodes {
		rows = append(rows, []string{n.Name, n.Version, strconv.Itoa(n.Clients), strconv.Itoa(n.Users),
			strconv.Itoa(n.Channels), strconv.Itoa(n.Subscriptions)})
	}
	return s.table(rows)
}

type presence struct {
	Channel string `arg:"" help:"The channel; its category must have the option presence."`
	Stats   bool   `help:"Only count them, as presence-stats does."`
}

// Run implements the command.
func (c *presence) Run(ctx context.Context, s *session) error {
	if c.Stats {
		return (&presenceStats{c.Channel}).Run(ctx, s)
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	members, err := client.Presence(ctx, c.Channel)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(members)
	}
	rows := [][]string{{"CLIENT", "USER", "INFO"}}
	for _, id := range slices.Sorted(maps.Keys(members)) {
		rows = append(rows, []string{id, members[id].User, string(members[id].Info)})
	}
	return s.table(rows)
}

type presenceStats struct {
	Channel string `arg:"" help:"The channel; its category must have the option presence."`
}

// Run implements the command.
func (c *presenceStats) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	stats, err := client.PresenceStats(ctx, c.Channel)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(stats)
	}
	more := ""
	if stats.Partial {
		more = " or more"
	}
	return s.table([][]string{{"CLIENTS", "USERS"}, {strconv.Itoa(stats.Clients) + more, strconv.Itoa(stats.Users) + more}})
}
