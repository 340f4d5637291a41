package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"centrifuge/pkg/cent"
)

type send struct {
	Method string `arg:"" help:"The method, such as publish."`

	Params string `placeholder:"JSON" help:"The params, a JSON object (default: the standard input)."`
}

// Help is shown below the usage.
func (*send) Help() string {
	return `The call is made once. The response is printed as it is: {"result": …} or {"error": {"code", "message"}}. The exit status is 1 for an error, and for params that are empty or not an object. /api/openapi.json of the installation lists the methods and their params.`
}

// methodName is the form of a method in the address.
var methodName = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// Run implements the command.
func (c *send) Run(ctx context.Context, s *session) error {
	if !methodName.MatchString(c.Method) {
		return misuse("invalid method: it has 1 to 64 letters, digits and underscores")
	}
	params, err := c.params(ctx, s)
	if err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	result, err := client.Call(ctx, c.Method, params)
	var refusal *cent.Error
	switch {
	case err == nil && c.Method == "batch":
		return s.printJSON(result)
	case err == nil:
		return s.printJSON(map[string]json.RawMessage{"result": result})
	case errors.As(err, &refusal) && refusal.Code != 0:
		if err := s.printJSON(map[string]apiError{"error": {refusal.Code, refusal.Message}}); err != nil {
			return err
		}
		return exit{code: exitRefused}
	}
	return err
}

// params returns the body to send. Empty params and params that are not an object have
// exit status 1, not 2, because scripts of 2013 depend on it.
func (c *send) params(ctx context.Context, s *session) (json.RawMessage, error) {
	b, err := s.text(ctx, c.Params, "no params: give --params, or pipe them in")
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	switch err := json.Unmarshal(b, &object); {
	case len(b) == 0:
		return nil, exit{exitRefused, errors.New("the params are empty: pipe in a JSON object, or give --params")}
	case err != nil || object == nil:
		return nil, exit{exitRefused, fmt.Errorf("the params are not a JSON object, such as %s", `{"channel":"news:all","data":1}`)}
	}
	return b, nil
}
