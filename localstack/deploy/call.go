package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxResponseBytes limits the body of a response that is read.
const maxResponseBytes = 64 << 20

// call is an HTTP request and the status that its response must have.
type call struct {
	method, url string
	header      http.Header
	// body is sent as JSON; nil sends no body.
	body   any
	status int
	// into receives the JSON of the response; nil discards it.
	into any
}

// do sends the request. The body of the response has been read.
func (c call) do(ctx context.Context) (*http.Response, error) {
	response, err := c.send(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", c.method, c.url, err)
	}
	return response, nil
}

func (c call) send(ctx context.Context) (*http.Response, error) {
	var body io.Reader
	if c.body != nil {
		encoded, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, c.url, body)
	if err != nil {
		return nil, err
	}
	if c.header != nil {
		r.Header = c.header.Clone()
	}
	if c.body != nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != c.status {
		return nil, fmt.Errorf("status %d, expected %d: %.1000s", response.StatusCode, c.status, content)
	}
	if c.into != nil {
		if err := json.Unmarshal(content, c.into); err != nil {
			return nil, err
		}
	}
	return response, nil
}
