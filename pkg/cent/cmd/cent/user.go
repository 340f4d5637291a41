package main

import "context"

type unsubscribe struct {
	User    string `arg:"" help:"The user."`
	Channel string `arg:"" help:"The channel."`
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
	User string `arg:"" help:"The user. With a valid token the user can connect again."`
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
