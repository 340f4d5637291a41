package callback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"centrifuge/pkg/hub"
)

// encodeRequest returns the body of a request to a validate_url.
func encodeRequest(user string, requested hub.Permissions) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		User        string          `json:"user"`
		Permissions json.RawMessage `json:"permissions"`
	}{user, hub.EncodePermissions(requested)})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// decodeResponse decodes the body of a response with status 200. It returns confirmed
// permissions that are at most the requested ones, and an info of at most
// hub.MaxInfoBytes, nil if there is none. Its errors contain nothing of the body.
func decodeResponse(body []byte, requested hub.Permissions) (c hub.Confirmation, err error) {
	requested.Confirmed = true
	if err := hub.CheckText("the response", string(body)); err != nil {
		return c, err
	}
	body = bytes.TrimLeft(body, " \t\r\n")
	if len(body) == 0 || body[0] != '{' {
		c.Permissions = requested
		return c, nil
	}
	// The application wrote an object to restrict the permissions or to attach info. An
	// error in it must not grant all requested permissions. For the same reason the keys
	// are not case-sensitive.
	var object struct {
		Permissions json.RawMessage
		Info        json.RawMessage
	}
	if hub.SyntaxError(body, "info") != "" || json.Unmarshal(body, &object) != nil {
		return c, errors.New("the object in the response is not valid JSON")
	}
	granted := requested
	if object.Permissions != nil {
		allowed, err := hub.DecodePermissions(object.Permissions)
		if err != nil {
			return c, fmt.Errorf("decode permissions in the response: %w", err)
		}
		allowed.Confirmed = true
		granted = requested.Narrow(allowed)
	}
	info, err := compactInfo(object.Info)
	if err != nil {
		return c, err
	}
	c.Permissions, c.Info = granted, info
	return c, nil
}

// compactInfo returns nil for a missing info and for null.
func compactInfo(info json.RawMessage) (json.RawMessage, error) {
	if info == nil || string(info) == "null" {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, info); err != nil {
		return nil, errors.New("info in the response is not valid JSON")
	}
	if b.Len() > hub.MaxInfoBytes {
		return nil, fmt.Errorf("info in the response is longer than %d bytes", hub.MaxInfoBytes)
	}
	return b.Bytes(), nil
}
