package chat

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// publish sends data to the subscribers of a channel. The error is a refusal if
// Centrifuge answered with an error.
func (a application) publish(ctx context.Context, secret, category, channel string, data any) error {
	command, err := json.Marshal(map[string]any{
		"method": "broadcast",
		"params": map[string]any{"category": category, "channel": channel, "data": data},
	})
	if err == nil {
		err = a.send(ctx, secret, command)
	}
	if err != nil {
		return fmt.Errorf("publish to %s:%s: %w", category, channel, err)
	}
	return nil
}

// send posts a command to the server API, with the classic signature.
func (a application) send(ctx context.Context, secret string, command []byte) error {
	body := base64.StdEncoding.EncodeToString(command)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.HTTPURL+"/rpc/"+url.PathEscape(a.Project), strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Centrifuge-Auth", "sign="+hex.EncodeToString(mac(secret, a.Project+body)))
	res, err := a.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return refusal(fmt.Sprintf("status %d", res.StatusCode))
	}
	var reply struct {
		Error *string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBodyBytes)).Decode(&reply); err != nil {
		return fmt.Errorf("decode reply: %w", err)
	}
	if reply.Error != nil {
		return refusal(*reply.Error)
	}
	return nil
}

// refusal is an error that Centrifuge answered with. It is safe to show to visitors.
type refusal string

func (r refusal) Error() string { return "Centrifuge refused the message: " + string(r) }

// publishFailed logs an error of publish and writes the error response.
func (a application) publishFailed(w http.ResponseWriter, r *http.Request, err error) {
	a.Log.ErrorContext(r.Context(), "publish failed", "error", err)
	message := "Centrifuge does not answer: try again later"
	if refused := refusal(""); errors.As(err, &refused) {
		message = refused.Error()
	}
	writeError(w, http.StatusBadGateway, message)
}
