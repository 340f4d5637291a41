package cent

import "context"

// Unsubscribe removes all connections of a user from a channel. It succeeds for a
// user who is not subscribed.
func (c *Client) Unsubscribe(ctx context.Context, user, channel string) error {
	return c.call(ctx, "unsubscribe", struct {
		User    string `json:"user"`
		Channel string `json:"channel"`
	}{user, channel}, &struct{}{})
}

// Disconnect closes all connections of a user. A user with a valid token can connect
// again: stop issuing tokens to the user first.
func (c *Client) Disconnect(ctx context.Context, user string) error {
	return c.call(ctx, "disconnect", struct {
		User string `json:"user"`
	}{user}, &struct{}{})
}
