package chat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// publish sends data to everybody in a channel, through the server API with the
// classic signature. It fails with a refusal where Centrifuge answered no.
func (a application) publish(ctx context.Context, secret, category, channel string, data any) error {
	command, err := json.Marshal(map[string]any{
		"method": "broadcast",
		"params": map[string]any{"category": category, "channel": channel, "data": data},
	})
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	body := base64.StdEncoding.EncodeToString(command)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.HTTPURL+"/rpc/"+url.PathEscape(a.Project), strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	req.Header.Set("X-Centrifuge-Auth", "sign="+sign(secret, a.Project+body))
	res, err := a.Client.Do(req)
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, refusal(fmt.Sprintf("status %d", res.StatusCode)))
	}
	var reply struct {
		Error *string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBodyBytes)).Decode(&reply); err != nil {
		return fmt.Errorf("publish to %s:%s: reply: %w", category, channel, err)
	}
	if reply.Error != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, refusal(*reply.Error))
	}
	return nil
}

// refusal is Centrifuge's no to a publish; a visitor may read it.
type refusal string

func (r refusal) Error() string { return "Centrifuge refused: " + string(r) }

// push publishes for a handler; where it cannot, it answers and returns false.
func (a application) push(w http.ResponseWriter, r *http.Request, secret, category, channel string, data any) bool {
	err := a.publish(r.Context(), secret, category, channel, data)
	if err == nil {
		return true
	}
	a.Log.ErrorContext(r.Context(), "nothing was published", "error", err)
	message := "Centrifuge could not be reached"
	if no := refusal(""); errors.As(err, &no) {
		message = no.Error()
	}
	fail(w, http.StatusBadGateway, message)
	return false
}
