package cent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"centrifuge/pkg/hub"
)

// repeat tries until attempt succeeds, fails for good, or may not be repeated.
//
// A publish that is repeated goes out once because Centrifuge remembers its key,
// for hub.IdempotencyWindow after it was done, which is after the first attempt
// began. No attempt of any call may therefore reach it later than that.
func (c *Client) repeat(ctx context.Context, attempt func(context.Context) error) error {
	start, bound := time.Now(), c.options.BackOff
	for n := 1; ; n++ {
		err := c.bounded(ctx, attempt)
		if err == nil || n == c.options.Attempts || !temporary(err) || ctx.Err() != nil {
			return err
		}
		wait := rand.N(bound + 1)
		bound = min(2*bound, MaxBackOff)
		if time.Since(start)+wait+c.options.Timeout >= hub.IdempotencyWindow {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w; gave up: %w", err, ctx.Err())
		case <-timer.C:
		}
	}
}

func (c *Client) bounded(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	return attempt(ctx)
}

// temporary tells whether another attempt may succeed: after an answer that says
// so, and after none.
func temporary(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Temporary
}

// call calls a method until it has an answer, and decodes its result.
func (c *Client) call(ctx context.Context, method string, params, result any) error {
	body, err := encode(params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	err = c.repeat(ctx, func(ctx context.Context) error { return c.post(ctx, method, body, result) })
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func encode(params any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(params)
	return b.Bytes(), err
}

// post is one attempt.
func (c *Client) post(ctx context.Context, method string, body []byte, result any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", c.options.APIKey)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswerBytes+1))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(b) > MaxAnswerBytes {
		return &Error{Message: fmt.Sprintf("the answer is longer than %d bytes", MaxAnswerBytes)}
	}
	return decode(res.StatusCode, b, result)
}

// decode reads an answer. Only one that has the form of the server API is
// believed to come from it, whatever its status.
func decode(status int, b []byte, result any) error {
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *failure        `json:"error"`
	}
	understood := json.Unmarshal(b, &answer) == nil
	switch {
	case understood && answer.Error != nil && answer.Error.Code != 0:
		e := answer.Error.known()
		e.Temporary = e.Temporary || status >= http.StatusInternalServerError
		return e
	case status != http.StatusOK:
		return &Error{
			Message:   fmt.Sprintf("status %d %s", status, http.StatusText(status)),
			Temporary: status >= http.StatusInternalServerError || status == http.StatusTooManyRequests,
		}
	case !understood || len(answer.Result) == 0 || json.Unmarshal(answer.Result, result) != nil:
		return &Error{Message: "the answer is not one of Centrifuge"}
	}
	return nil
}
