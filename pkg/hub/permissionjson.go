package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// DecodePermissions reads permissions: {} grants everything, {"cat": []} the whole
// category, {"cat": ["a", "b"]} these channels of it. A value that is not a list grants
// nothing in its category, and an entry that is not a string matches no channel.
// The key "" is the category without a name. The result is not confirmed: the form does not
// say who granted it.
//
// This is the one JSON form of permissions, in classic auth frames, in the claims of
// a JWT, and in both directions of validate_url. Invalid input never widens a grant:
// anything but one JSON object, null included, and an object that names a category
// twice fail with ErrBadRequest. More than Permissions.Validate allows fails with
// ErrLimitExceeded.
func DecodePermissions(raw json.RawMessage) (Permissions, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return Permissions{}, ErrBadRequest.With("permissions are not an object")
	}
	if !dec.More() {
		if err := end(dec); err != nil {
			return Permissions{}, err
		}
		return Permissions{Everything: true}, nil
	}
	p := Permissions{Categories: make(map[string]Grant)}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return Permissions{}, errMalformed
		}
		name := key.(string) // the decoder returns only strings as keys
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return Permissions{}, errMalformed
		}
		if _, twice := p.Categories[name]; twice {
			return Permissions{}, ErrCategoryTwice
		}
		p.Categories[name] = grant(value)
	}
	if err := end(dec); err != nil {
		return Permissions{}, err
	}
	if err := p.Validate(); err != nil {
		return Permissions{}, err
	}
	return p, nil
}

// ErrCategoryTwice refuses an object that names a category twice: JSON parsers differ on
// which of the two counts. It has the code of ErrBadRequest, so only == distinguishes it.
var ErrCategoryTwice = ErrBadRequest.With("permissions name a category twice")

var errMalformed = ErrBadRequest.With("permissions are not valid JSON")

// end reads the closing brace. It fails where anything follows.
func end(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return errMalformed
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errMalformed
	}
	return nil
}

// grant reads the value of one category.
func grant(value json.RawMessage) Grant {
	var entries []json.RawMessage
	if err := json.Unmarshal(value, &entries); err != nil || entries == nil {
		return Grant{}
	}
	if len(entries) == 0 {
		return Grant{Whole: true}
	}
	var g Grant
	for _, entry := range entries {
		var name *string
		if json.Unmarshal(entry, &name) == nil && name != nil {
			g.Channels = append(g.Channels, *name)
		}
	}
	return g
}

// EncodePermissions writes p so that DecodePermissions reads the same grants. A category
// in which nothing is granted has the value null, and permissions that grant nothing at
// all are {"":null}: an empty list or object would grant everything. The form does not
// contain whether p is confirmed.
func EncodePermissions(p Permissions) json.RawMessage {
	categories := make(map[string][]string)
	switch {
	case p.Everything:
	case len(p.Categories) == 0:
		categories[""] = nil
	default:
		for name, g := range p.Categories {
			if g.Whole {
				g.Channels = []string{}
			} else if len(g.Channels) == 0 {
				g.Channels = nil // null, never the [] of a whole category
			}
			categories[name] = g.Channels
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(categories); err != nil {
		panic("permissions: " + err.Error()) // a map of strings always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
