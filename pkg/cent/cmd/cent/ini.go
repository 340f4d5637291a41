package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFileBytes is the longest file of settings that is read.
const maxFileBytes = 64 << 10

var fileKeys = []string{"address", "admin_password", "api_key", "project_id", "secret_key", "timeout", "websocket"}

// decodeINI reads a file of settings: lines "key = value" or "key: value", before
// any section or in the section [cent]; others are passed over, and so are lines
// that are empty or begin with # or ;. Spaces around keys and values do not count,
// and case does not in keys. Nothing else is special: a value may hold any of
// these characters, and has no quotes. It fails for a key that is not known or
// comes twice, without repeating any value.
func decodeINI(b []byte) (map[string]string, error) {
	switch {
	case len(b) > maxFileBytes:
		return nil, fmt.Errorf("it is longer than %d bytes", maxFileBytes)
	case !utf8.Valid(b) || bytes.ContainsRune(b, 0):
		return nil, errors.New("it is not text in UTF-8")
	}
	values := make(map[string]string)
	ours := true
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(b), "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name, closed := strings.CutSuffix(line[1:], "]")
			if !closed {
				return nil, fmt.Errorf("line %d: a section ends with ]", number)
			}
			ours = strings.EqualFold(strings.TrimSpace(name), "cent")
			continue
		}
		if !ours {
			continue
		}
		at := strings.IndexAny(line, "=:")
		if at < 0 {
			return nil, fmt.Errorf("line %d: not key = value", number)
		}
		key := strings.ToLower(strings.TrimSpace(line[:at]))
		if !slices.Contains(fileKeys, key) {
			return nil, fmt.Errorf("line %d: the keys are %s", number, strings.Join(fileKeys, ", "))
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("line %d: %s comes twice", number, key)
		}
		values[key] = strings.TrimSpace(line[at+1:])
	}
	return values, nil
}
