package cent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"

	"centrifuge/pkg/hub"
)

// call calls a method, repeats what may be repeated, and decodes the result.
func (c *Client) call(ctx context.Context, method string, params, result any) error {
	err := checkNames(params)
	var body []byte
	if err == nil {
		body, err = encode(params)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	err = c.retry.do(ctx, func(ctx context.Context) error { return c.post(ctx, method, body, result) })
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// Call calls a method of the server API by name, such as "publish", with params as
// its body, and returns the undecoded result; of "batch", whose replies are in no result, the
// whole response. It is for methods without a function in this package. It makes one attempt, whatever Options say: only the caller knows
// whether the method may be repeated. A refusal is an *Error.
func (c *Client) Call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	body, err := encode(params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	var result json.RawMessage
	err = c.retry.once(ctx, func(ctx context.Context) error { return c.post(ctx, url.PathEscape(method), body, &result) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return result, nil
}

// checkNames refuses names that are not text, which encoding/json would change to other
// names. They are the fields of params, a struct, that are strings or lists of strings.
func checkNames(params any) error {
	v := reflect.ValueOf(params)
	for i := range v.NumField() {
		var names []string
		switch value := v.Field(i).Interface().(type) {
		case string:
			names = []string{value}
		case []string:
			names = value
		case map[string]string:
			for name, text := range value {
				names = append(names, name, text)
			}
		case PublishOptions:
			if err := checkNames(value); err != nil {
				return err
			}
		}
		for _, name := range names {
			if err := hub.CheckText(v.Type().Field(i).Name, name); err != nil {
				return err
			}
		}
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

// post makes one attempt.
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
	b, err := readBody(res)
	if err != nil {
		return err
	}
	return decode(res.StatusCode, b, result)
}

// readBody reads the body of a response.
func readBody(res *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxResponseBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the response: %w", err)
	case len(b) > MaxResponseBytes:
		return nil, &Error{Message: fmt.Sprintf("the response is longer than %d bytes", MaxResponseBytes)}
	}
	return b, nil
}

// decode decodes a response of the server API. A body of another form comes from
// another server, whatever its status is.
func decode(status int, b []byte, result any) error {
	var response struct {
		Result  json.RawMessage `json:"result"`
		Replies json.RawMessage `json:"replies"`
		Error   *failure        `json:"error"`
	}
	decoded := json.Unmarshal(b, &response) == nil
	if len(response.Result) == 0 && len(response.Replies) > 0 {
		response.Result = b
	}
	switch {
	case decoded && response.Error != nil && response.Error.Code != 0:
		return response.Error.with(status)
	case status != http.StatusOK:
		return statusOnly(status)
	case !decoded || len(response.Result) == 0 || json.Unmarshal(response.Result, result) != nil:
		return errNotCentrifuge
	}
	return nil
}

// errNotCentrifuge is the error for a successful response with an unknown body.
var errNotCentrifuge = &Error{Message: "not a response of Centrifuge: check the URL"}

// statusOnly is the error for a response with an unknown body.
func statusOnly(status int) *Error {
	return &Error{
		Message:   fmt.Sprintf("status %d %s", status, http.StatusText(status)),
		Temporary: status >= http.StatusInternalServerError || status == http.StatusTooManyRequests,
	}
}
