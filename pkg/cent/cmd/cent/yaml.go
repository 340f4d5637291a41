package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"centrifuge/pkg/manifest"
)

// ordered returns the JSON form of v as values of package yaml, with the keys of
// objects in their order.
func ordered(v any) (value any, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	err = yaml.UnmarshalWithOptions(b, &value, yaml.UseOrderedMap())
	return value, err
}

// encodeYAML writes the JSON form of v as YAML.
func encodeYAML(v any) (string, error) {
	value, err := ordered(v)
	if err != nil {
		return "", err
	}
	b, err := yaml.MarshalWithOptions(value, yaml.IndentSequence(true), yaml.CustomMarshaler(quote))
	if err != nil {
		return "", err
	}
	if list, ok := value.([]any); ok && len(list) > 0 {
		// The encoder indents a list at the top, too.
		return strings.ReplaceAll("\n"+string(b), "\n  ", "\n")[1:], nil
	}
	return string(b), nil
}

// plain are the strings that need no quotes in any version of YAML. The encoder's
// own choice would leave 66e5123 unquoted, which YAML 1.2 reads as a number.
var (
	plain     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*$`)
	ambiguous = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// quote writes a string as YAML. YAML knows every escape that strconv writes.
func quote(text string) ([]byte, error) {
	if plain.MatchString(text) && !ambiguous.MatchString(text) {
		return []byte(text), nil
	}
	return []byte(strconv.Quote(text)), nil
}

// decodeDocuments reads YAML or JSON: one document or several, each a T or a list of
// T. It returns nil for a file without any document. The values are decoded by
// package manifest, as seed files and requests of the admin API are: an unknown key
// and a value of the wrong type are errors.
func decodeDocuments[T any](b []byte) ([]T, error) {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	var all []T
	for _, document := range file.Docs {
		body := document.Body
		if body == nil || body.Type() == ast.NullType || body.Type() == ast.CommentType {
			continue
		}
		entries := []ast.Node{body}
		if list, ok := body.(*ast.SequenceNode); ok {
			entries = list.Values
		}
		if all == nil {
			all = []T{}
		}
		for _, entry := range entries {
			one, err := decodeEntry[T](entry)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// decodeEntry decodes a node into a T. Its errors name the line where the node
// begins.
func decodeEntry[T any](node ast.Node) (T, error) {
	var value any
	var decoded T
	if err := yaml.NodeToValue(node, &value); err != nil {
		return decoded, syntaxError(err)
	}
	b, err := json.Marshal(value)
	if err == nil {
		err = manifest.Decode(b, &decoded)
	}
	if err != nil {
		return decoded, fmt.Errorf("line %d: %w", node.GetToken().Position.Line, err)
	}
	return decoded, nil
}

// syntaxError is the message of the parser's error, without its excerpt of the file.
func syntaxError(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		p := at.GetToken().Position
		return fmt.Errorf("line %d, column %d: %s", p.Line, p.Column, at.GetMessage())
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(first)
}
