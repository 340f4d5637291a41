package cent

import "context"

// Unsubscribe takes all connections of a user out of a channel. A user who is not
// there is not an error.
func (c *Client) Unsubscribe(ctx context.Context, user, channel string) error {
	return c.call(ctx, "unsubscribe", struct {
		User    string `json:"user"`
		Channel string `json:"channel"`
	}{user, channel}, &struct{}{})
}

// Disconnect ends all connections of a user. They may connect again: first see to
// it that the user gets no token.
func (c *Client) Disconnect(ctx context.Context, user string) error {
	return c.call(ctx, "disconnect", struct {
		User string `json:"user"`
	}{user}, &struct{}{})
}
