package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"centrifuge/pkg/cent"
)

type history struct {
	Channel string `arg:"" help:"The channel; its category must have the options history_size and history_ttl."`
	Limit   int    `default:"10" placeholder:"N" help:"How many messages to print: 0 for none, --limit=-1 for as many as the server allows."`
	Since   since  `placeholder:"OFFSET[@EPOCH]" help:"Only those after this position, or with --reverse before it."`
	Reverse bool   `help:"The newest first."`
}

// since is a position on the command line.
type since struct{ position *cent.Position }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *since) UnmarshalText(b []byte) error {
	offset, epoch, _ := strings.Cut(string(b), "@")
	n, err := strconv.ParseUint(offset, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no position: write OFFSET or OFFSET@EPOCH, such as 41@6921d2fb0123456789abcdef", b)
	}
	s.position = &cent.Position{Offset: n, Epoch: epoch}
	return nil
}

// Run implements the command.
func (c *history) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	publications, top, err := client.History(ctx, c.Channel, cent.HistoryOptions{Since: c.Since.position, Limit: c.Limit, Reverse: c.Reverse})
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(struct {
			Publications []cent.Publication `json:"publications"`
			cent.Position
		}{publications, top})
	}
	rows := [][]string{{"OFFSET", "TIME", "PUBLISHER", "DATA"}}
	for _, p := range publications {
		publisher := "application"
		if p.Info != nil {
			publisher = p.Info.User
		}
		rows = append(rows, []string{strconv.FormatUint(p.Offset, 10), p.Time().UTC().Format(time.RFC3339), publisher, string(p.Data)})
	}
	if len(publications) > 0 {
		if err := s.table(rows); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.stdout, "top:", strconv.FormatUint(top.Offset, 10)+"@"+top.Epoch)
	return nil
}

type historyRemove struct {
	Channel string `arg:"" help:"The channel."`
}

// Run implements the command.
func (c *historyRemove) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	return client.RemoveHistory(ctx, c.Channel)
}
