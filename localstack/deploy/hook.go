package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"centrifuge/pkg/hub"
)

// hookPatience is how long a webhook may take to be called.
const hookPatience = time.Minute

// webhook is what was posted to one.
type webhook struct {
	timestamp, signature string
	body                 []byte
}

// hook makes a project with the admin API, publishes in one of its categories, and
// waits for its webhook: across the API, the bus, its rule and the function behind
// it. The webhook is on this machine, where the functions must be too. What becomes
// of one that fails is not to be seen here: MiniStack 1.5.33 invokes the target of a
// rule once, and has no dead letters of rules.
func (e emulator) hook(ctx context.Context, o outputs) (err error) {
	session, err := e.signIn(ctx, o)
	if err != nil {
		return err
	}
	url, posted, stop, err := listen(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	address := o.AdminURL + "api/projects/" + hub.NewID(time.Now())
	var keys struct {
		Secret string
		APIKey string `json:"api_key"`
	}
	for _, c := range []call{
		{
			method: http.MethodPut, url: address, header: session, status: http.StatusCreated, into: &keys,
			body: map[string]any{"name": "hooked", "options": map[string]string{"webhook_url": url}},
		},
		{
			method: http.MethodPut, url: address + "/categories/orders", header: session, status: http.StatusCreated,
			body: map[string]bool{"hooks": true},
		},
	} {
		if _, err := c.do(ctx); err != nil {
			return err
		}
	}
	if _, err := (call{
		method: http.MethodPost, url: o.HTTPURL + "/api/publish", header: http.Header{"X-Api-Key": {keys.APIKey}}, status: http.StatusOK,
		body: map[string]any{"channel": "orders:new", "data": "hooked"},
	}).do(ctx); err != nil {
		return err
	}
	select {
	case w := <-posted:
		err = w.check(keys.Secret)
	case <-time.After(hookPatience):
		err = errors.New("the webhook of a message was not called")
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, deleted := call{method: http.MethodDelete, url: address, header: session, status: http.StatusOK}.do(ctx)
	return errors.Join(err, deleted)
}

// check fails unless it tells of the message, signed with the project's secret.
func (w webhook) check(secret string) error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(w.timestamp + "."))
	mac.Write(w.body)
	mac.Write([]byte("\n"))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); w.signature != want {
		return fmt.Errorf("the webhook is signed %q, expected %q", w.signature, want)
	}
	var message struct{ Category, Channel, Data string }
	if err := json.Unmarshal(w.body, &message); err != nil {
		return fmt.Errorf("read the webhook: %w", err)
	}
	if message.Category != "orders" || message.Channel != "new" || message.Data != "hooked" {
		return fmt.Errorf("the webhook is of another message: %s", w.body)
	}
	return nil
}

// listen serves a webhook, until stop, and passes on what is posted to it first.
func listen(ctx context.Context) (url string, posted <-chan webhook, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, fmt.Errorf("listen for a webhook: %w", err)
	}
	first := make(chan webhook, 1)
	server := &http.Server{ReadHeaderTimeout: hookPatience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswerBytes))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		select {
		case first <- webhook{r.Header.Get("X-Centrifuge-Timestamp"), r.Header.Get("X-Centrifuge-Signature"), body}:
		default:
		}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return "http://" + listener.Addr().String() + "/", first, func() error {
		err := server.Close()
		if serve := <-served; !errors.Is(serve, http.ErrServerClosed) {
			err = errors.Join(err, serve)
		}
		return err
	}, nil
}
