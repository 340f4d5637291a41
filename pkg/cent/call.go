package cent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// call calls a method until it has an answer, and decodes its result.
func (c *Client) call(ctx context.Context, method string, params, result any) error {
	body, err := encode(params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	err = c.tries.repeat(ctx, func(ctx context.Context) error { return c.post(ctx, method, body, result) })
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// Call calls a method of the server API by its name, such as "publish", with params
// as its body, and returns the result as it came. It is for methods that have no
// function here, and tries once whatever Options say: only the caller knows whether
// a method may be repeated. It fails with an *Error for what Centrifuge refuses.
func (c *Client) Call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	body, err := encode(params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	var result json.RawMessage
	err = c.tries.bounded(ctx, func(ctx context.Context) error { return c.post(ctx, url.PathEscape(method), body, &result) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return result, nil
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
	req.Header.Set("X-API-Key", c.key)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := answer(res)
	if err != nil {
		return err
	}
	return decode(res.StatusCode, b, result)
}

// answer reads the body of a response.
func answer(res *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(b) > MaxAnswerBytes:
		return nil, &Error{Message: fmt.Sprintf("the answer is longer than %d bytes", MaxAnswerBytes)}
	}
	return b, nil
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
		return answer.Error.with(status)
	case status != http.StatusOK:
		return unknownStatus(status)
	case !understood || len(answer.Result) == 0 || json.Unmarshal(answer.Result, result) != nil:
		return errNotCentrifuge
	}
	return nil
}

// errNotCentrifuge: whoever answered well does not speak as Centrifuge does.
var errNotCentrifuge = &Error{Message: "the answer is not one of Centrifuge"}

// unknownStatus is the error for an answer of which only the status is understood.
func unknownStatus(status int) *Error {
	return &Error{
		Message:   fmt.Sprintf("status %d %s", status, http.StatusText(status)),
		Temporary: status >= http.StatusInternalServerError || status == http.StatusTooManyRequests,
	}
}
