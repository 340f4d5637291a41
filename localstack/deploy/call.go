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

// maxAnswerBytes is how much of an answer is read.
const maxAnswerBytes = 1 << 20

// call is a request, and the status that its answer must have.
type call struct {
	method, url string
	header      http.Header
	// body is sent as JSON, nil for nothing.
	body   any
	status int
	// into is what the answer is decoded into, nil for nothing.
	into any
}

// do makes the request. The body of the response has been read.
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
	if c.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != c.status {
		return nil, fmt.Errorf("status %d, expected %d: %.1000s", response.StatusCode, c.status, answer)
	}
	if c.into != nil {
		if err := json.Unmarshal(answer, c.into); err != nil {
			return nil, err
		}
	}
	return response, nil
}
