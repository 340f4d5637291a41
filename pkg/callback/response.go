package callback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

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

// decodeResponse decodes the body of a response with status 200. An empty body and a
// JSON object mean yes; everything else fails. White space around the object does not
// matter.
//
// The permissions are at most the requested ones. They are confirmed only where the
// object states "permissions". The info has at most hub.MaxInfoBytes, and is nil if there
// is none. Errors contain nothing of the body.
func decodeResponse(body []byte, requested hub.Permissions) (c hub.Confirmation, err error) {
	requested.Confirmed = false
	if err := hub.CheckText("the response", string(body)); err != nil {
		return c, err
	}
	body = bytes.Trim(body, " \t\r\n")
	if len(body) == 0 {
		return hub.Confirmation{Permissions: requested}, nil
	}
	if body[0] != '{' {
		return c, errNotObject
	}
	// Keys are not case-sensitive: a key in another case must not grant all requested
	// permissions.
	var object struct {
		Permissions json.RawMessage
		Info        json.RawMessage
	}
	if hub.SyntaxError(body, "info") != "" || json.Unmarshal(body, &object) != nil {
		return c, errNotObject
	}
	if repeatsKey(body) {
		return c, errors.New("an object in the response has a key twice")
	}
	c.Permissions = requested
	if object.Permissions != nil {
		allowed, err := decodePermissions(object.Permissions)
		if err != nil {
			return hub.Confirmation{}, err
		}
		c.Permissions = requested.Narrow(allowed)
	}
	if c.Info, err = compactInfo(object.Info); err != nil {
		return hub.Confirmation{}, err
	}
	return c, nil
}

var errNotObject = errors.New("the response is neither empty nor a JSON object")

// decodePermissions decodes the permissions of a response, which are confirmed. It is
// stricter than hub.DecodePermissions, which also reads what clients send: the value of a
// category must be a list of strings, or null for none of its channels.
func decodePermissions(raw json.RawMessage) (hub.Permissions, error) {
	var categories map[string][]*string
	if json.Unmarshal(raw, &categories) != nil {
		return hub.Permissions{}, errors.New("permissions in the response are not an object of lists of strings")
	}
	for _, channels := range categories {
		if slices.Contains(channels, nil) {
			return hub.Permissions{}, errors.New("permissions in the response name a channel null")
		}
	}
	p, err := hub.DecodePermissions(raw)
	if err != nil {
		return p, fmt.Errorf("decode permissions in the response: %w", err)
	}
	p.Confirmed = true
	return p, nil
}

// repeatsKey reports whether an object in body, which is a valid JSON object, has a key
// twice: parsers differ on which of them counts. The keys of the outermost object are not
// case-sensitive, like decodeResponse.
func repeatsKey(body []byte) bool {
	// seen holds the keys of each open object, and nil for an open list.
	var seen []map[string]bool
	key := false // the next string is a key
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		t, err := d.Token()
		if err != nil {
			return false // the end
		}
		name, text := t.(string)
		switch {
		case t == json.Delim('{'):
			seen = append(seen, make(map[string]bool))
		case t == json.Delim('['):
			seen = append(seen, nil)
		case t == json.Delim('}'), t == json.Delim(']'):
			seen = seen[:len(seen)-1]
		case text && key:
			if len(seen) == 1 {
				name = foldKey(name)
			}
			keys := seen[len(seen)-1]
			if keys[name] {
				return true
			}
			keys[name] = true
			key = false
			continue
		}
		key = len(seen) > 0 && seen[len(seen)-1] != nil
	}
}

// foldKey returns the same string for all strings that encoding/json takes for the same
// key, and different strings for others.
func foldKey(key string) string {
	return strings.Map(func(r rune) rune {
		for next := unicode.SimpleFold(r); ; r, next = next, unicode.SimpleFold(next) {
			if next <= r {
				return next // the orbit begins again with its smallest rune
			}
		}
	}, key)
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
