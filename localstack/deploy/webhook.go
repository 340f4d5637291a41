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

// webhookTimeout limits the time until a webhook is called.
const webhookTimeout = time.Minute

// webhookRequest is a request to a webhook.
type webhookRequest struct {
	timestamp, signature string
	body                 []byte
}

// testWebhook creates a project with the admin API, publishes to one of its
// categories and waits for the call of its webhook. The message passes through the
// server API, the event bus, its rule and the function webhook. The webhook is on
// this machine, so the functions must run here as well. Failing webhooks are not
// tested: MiniStack 1.5.33 invokes the target of a rule once and has no dead-letter
// queues for rules. session is the header of an administrator.
func testWebhook(ctx context.Context, o outputs, session http.Header) (err error) {
	url, posted, stop, err := serveWebhook(ctx)
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
			body: map[string]any{"name": "webhook test", "options": map[string]string{"webhook_url": url}},
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
		body: map[string]any{"channel": "orders:new", "data": "webhook test"},
	}).do(ctx); err != nil {
		return err
	}
	select {
	case r := <-posted:
		err = r.check(keys.Secret)
	case <-time.After(webhookTimeout):
		err = fmt.Errorf("the webhook was not called within %v", webhookTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, deleteErr := call{method: http.MethodDelete, url: address, header: session, status: http.StatusOK}.do(ctx)
	return errors.Join(err, deleteErr)
}

// check checks the signature and that the request contains the published message.
func (r webhookRequest) check(secret string) error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(r.timestamp + "."))
	mac.Write(r.body)
	mac.Write([]byte("\n"))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.signature != want {
		return fmt.Errorf("webhook signature is %q, expected %q", r.signature, want)
	}
	var message struct{ Category, Channel, Data string }
	if err := json.Unmarshal(r.body, &message); err != nil {
		return fmt.Errorf("decode webhook request: %w", err)
	}
	if message.Category != "orders" || message.Channel != "new" || message.Data != "webhook test" {
		return fmt.Errorf("webhook request contains another message: %s", r.body)
	}
	return nil
}

// serveWebhook serves a webhook until stop is called, and sends its first request to
// posted.
func serveWebhook(ctx context.Context) (url string, posted <-chan webhookRequest, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, fmt.Errorf("listen for a webhook: %w", err)
	}
	first := make(chan webhookRequest, 1)
	server := &http.Server{ReadHeaderTimeout: webhookTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxResponseBytes))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		select {
		case first <- webhookRequest{r.Header.Get("X-Centrifuge-Timestamp"), r.Header.Get("X-Centrifuge-Signature"), body}:
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
