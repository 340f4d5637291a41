package main

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"
)

// decodeDocuments reads YAML or JSON, one document or several: each is a T, or a
// list of them. Without any document it returns nil. It is strict, since what a file does not mean to say would be
// carried out: keys are those of T's JSON form and come once, a text is text, and
// there are no anchors, aliases or tags. An error names the line and the column.
func decodeDocuments[T any](b []byte) ([]T, error) {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	var all []T
	for _, doc := range file.Docs {
		body := doc.Body
		if body == nil || body.Type() == ast.NullType || body.Type() == ast.CommentType {
			continue
		}
		if all == nil {
			all = []T{}
		}
		if list, ok := body.(*ast.SequenceNode); ok {
			var several []T
			if err := decodeNode(list, reflect.ValueOf(&several).Elem()); err != nil {
				return nil, err
			}
			all = append(all, several...)
			continue
		}
		var one T
		if err := decodeNode(body, reflect.ValueOf(&one).Elem()); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// syntaxError is what a parser's error says, on one line.
func syntaxError(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return placed(at.GetToken(), "%s", at.GetMessage())
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(first)
}

// placed is an error at a token.
func placed(at *yamltoken.Token, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if at == nil || at.Position == nil {
		return errors.New(text)
	}
	return fmt.Errorf("line %d, column %d: %s", at.Position.Line, at.Position.Column, text)
}

// decodeNode reads a node into v, which is what encoding/json would read it into.
func decodeNode(node ast.Node, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Struct:
		return decodeMapping(node, v)
	case reflect.Slice:
		return decodeList(node, v)
	case reflect.String:
		switch n := node.(type) {
		case *ast.StringNode:
			v.SetString(n.Value)
			return nil
		case *ast.LiteralNode:
			v.SetString(n.Value.Value)
			return nil
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
			return placed(node.GetToken(), "%s is not text: put it in quotes", node.GetToken().Value)
		}
		return placed(node.GetToken(), "expected a text")
	case reflect.Bool:
		if n, ok := node.(*ast.BoolNode); ok {
			v.SetBool(n.Value)
			return nil
		}
		return placed(node.GetToken(), "expected true or false")
	case reflect.Int:
		if n, ok := node.(*ast.IntegerNode); ok {
			if i, err := strconv.ParseInt(n.Token.Value, 10, 32); err == nil {
				v.SetInt(i)
				return nil
			}
		}
		return placed(node.GetToken(), "expected a whole number")
	}
	return fmt.Errorf("a %s cannot be read from a file", v.Kind())
}

func decodeList(node ast.Node, v reflect.Value) error {
	if node.Type() == ast.NullType {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return placed(node.GetToken(), "expected a list")
	}
	for _, value := range list.Values {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := decodeNode(value, element); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}

func decodeMapping(node ast.Node, v reflect.Value) error {
	if node.Type() == ast.NullType {
		return nil
	}
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return placed(node.GetToken(), "expected a mapping of keys to values")
	}
	fields := make(map[string]reflect.Value)
	keys := jsonFields(v, fields)
	for _, pair := range pairs {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return placed(pair.Key.GetToken(), "%s is no key: the keys are %s", pair.Key.GetToken().Value, strings.Join(keys, ", "))
		}
		field, known := fields[key.Value]
		switch {
		case !known:
			return placed(key.GetToken(), "unknown key %s: the keys are %s", printable(key.Value), strings.Join(keys, ", "))
		case !field.IsValid():
			return placed(key.GetToken(), "%s comes twice", key.Value)
		}
		if err := decodeNode(pair.Value, field); err != nil {
			return err
		}
		fields[key.Value] = reflect.Value{} // it has been there
	}
	return nil
}

// jsonFields collects the fields of a struct by their JSON keys, those of embedded
// structs too, and returns the keys in order.
func jsonFields(v reflect.Value, fields map[string]reflect.Value) (keys []string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			keys = append(keys, jsonFields(v.Field(i), fields)...)
		case field.IsExported() && name != "" && name != "-":
			fields[name] = v.Field(i)
			keys = append(keys, name)
		}
	}
	return keys
}
