package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"centrifuge/pkg/hub"
)

// maxDepth is how deep in a document options are, at most: a list of projects in an object, each
// with a list of categories.
const maxDepth = 5

// withoutAliases replaces the aliases of options by their names, in the objects of a document and
// down to a depth. It fails with hub.ErrBadRequest.
func withoutAliases(document []byte, depth int) ([]byte, error) {
	if depth == 0 || !hasAlias(document) {
		return document, nil
	}
	switch first := bytes.TrimLeft(document, " \t\r\n"); {
	case bytes.HasPrefix(first, []byte("{")):
		var object map[string]json.RawMessage
		if err := json.Unmarshal(document, &object); err != nil {
			return nil, fmt.Errorf("read an object: %w", err)
		}
		for key, value := range object {
			if key == "options" {
				continue // those of a project, which have no aliases
			}
			replaced, err := withoutAliases(value, depth-1)
			if err != nil {
				return nil, err
			}
			object[key] = replaced
		}
		for _, o := range hub.CategoryReference {
			if err := rename(object, o); err != nil {
				return nil, err
			}
		}
		return json.Marshal(object)
	case bytes.HasPrefix(first, []byte("[")):
		var list []json.RawMessage
		if err := json.Unmarshal(document, &list); err != nil {
			return nil, fmt.Errorf("read a list: %w", err)
		}
		for i, value := range list {
			replaced, err := withoutAliases(value, depth-1)
			if err != nil {
				return nil, err
			}
			list[i] = replaced
		}
		return json.Marshal(list)
	}
	return document, nil
}

// hasAlias reports whether a document may have an alias. Most have none, and stay as they are.
func hasAlias(document []byte) bool {
	for _, o := range hub.CategoryReference {
		if o.Alias != "" && bytes.Contains(document, []byte(o.Alias)) {
			return true
		}
	}
	return false
}

// rename replaces the alias of an option in an object.
func rename(object map[string]json.RawMessage, o hub.Option) error {
	value, found := object[o.Alias]
	if o.Alias == "" || !found {
		return nil
	}
	var on *bool
	if json.Unmarshal(value, &on) != nil {
		return hub.ErrBadRequest.With(o.Alias + " is not a boolean")
	}
	delete(object, o.Alias)
	if on == nil {
		return nil
	}
	is := *on != o.AliasReversed
	if named, both := object[o.Name]; both {
		var other *bool
		switch err := json.Unmarshal(named, &other); {
		case err != nil:
			return hub.ErrBadRequest.With(o.Name + " is not a boolean")
		case other != nil && *other != is:
			return hub.ErrBadRequest.With(fmt.Sprintf("%s is %t and %s is %t: they are one option, write one of them", o.Name, *other, o.Alias, *on))
		}
	}
	object[o.Name] = json.RawMessage(strconv.FormatBool(is))
	return nil
}
