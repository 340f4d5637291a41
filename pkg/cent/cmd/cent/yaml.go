package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
)

// member is a key with its value.
type member struct {
	key   string
	value any
}

// object is a JSON object in the order in which it was written.
type object []member

// encodeYAML writes v, which becomes JSON, as YAML, keys in the order of the JSON.
// A text is written plain only where nobody can take it for anything else.
func encodeYAML(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	value, err := ordered(d)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	writeYAML(&out, value, "", "")
	return out.String(), nil
}

// ordered reads a value whose objects keep their order.
func ordered(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := ordered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		o := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := ordered(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{fmt.Sprint(key), value})
		}
		_, err = d.Token()
		return o, err
	}
	return token, nil
}

// writeYAML writes a value: its first line after first, its others after indent.
func writeYAML(w io.Writer, value any, first, indent string) {
	switch v := value.(type) {
	case object:
		for _, m := range v {
			writeMember(w, m, first, indent)
			first = indent
		}
		if len(v) == 0 {
			fmt.Fprintln(w, first+"{}")
		}
	case []any:
		for _, element := range v {
			writeYAML(w, element, first+"- ", indent+"  ")
			first = indent
		}
		if len(v) == 0 {
			fmt.Fprintln(w, first+"[]")
		}
	default:
		fmt.Fprintln(w, first+scalar(v))
	}
}

func writeMember(w io.Writer, m member, first, indent string) {
	key := first + quoted(m.key) + ":"
	switch v := m.value.(type) {
	case object:
		if len(v) > 0 {
			fmt.Fprintln(w, key)
			writeYAML(w, v, indent+"  ", indent+"  ")
			return
		}
	case []any:
		if len(v) > 0 {
			fmt.Fprintln(w, key)
			writeYAML(w, v, indent+"  ", indent+"  ")
			return
		}
	}
	writeYAML(w, m.value, key+" ", indent)
}

func scalar(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return quoted(v)
	}
	return fmt.Sprint(value) // a number or a bool
}

// plain are texts that are themselves in every YAML: names and addresses, without
// what could be a number, a date or a bool.
var (
	plain     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*$`)
	ambiguous = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// quoted is a text as YAML has it: between quotes with escapes that JSON has too,
// unless it is plain.
func quoted(text string) string {
	if plain.MatchString(text) && !ambiguous.MatchString(text) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
