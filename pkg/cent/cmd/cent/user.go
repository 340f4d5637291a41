package main

import "context"

type unsubscribe struct {
	User    string `arg:"" help:"Whom."`
	Channel string `arg:"" help:"Out of which channel."`
}

// Run implements the command.
func (c *unsubscribe) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := client.Unsubscribe(ctx, c.User, c.Channel); err != nil {
		return err
	}
	return s.done()
}

type disconnect struct {
	User string `arg:"" help:"Whom. Who still has a token may connect again."`
}

// Run implements the command.
func (c *disconnect) Run(ctx context.Context, s *session) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := client.Disconnect(ctx, c.User); err != nil {
		return err
	}
	return s.done()
}
