package hub

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"unicode/utf8"
)

// Every decoder of the service checks what it reads here first: encoding/json replaces
// bytes that are not UTF-8, and escapes that are no character, by U+FFFD. Two names that
// differ would become the same name, and a message would be delivered altered or not at all.

// byteOrderMark is U+FEFF in UTF-8. At the beginning of a text it is not part of the text,
// and parsers of JSON differ on whether they skip it.
const byteOrderMark = "\ufeff"

// textError says where and why b is not text: it is not UTF-8, or it begins with a byte
// order mark. It returns "" for text.
func textError(b []byte) string {
	if bytes.HasPrefix(b, []byte(byteOrderMark)) {
		return position(b, 0) + ": this is a byte order mark: send the text without it"
	}
	if utf8.Valid(b) {
		return ""
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && size == 1 {
			return position(b, at) + ": this byte is not UTF-8"
		}
		at += size
	}
}

// CheckText refuses bytes that are not UTF-8 or that begin with a byte order mark, with
// ErrBadRequest. The error begins with what and says where. A line ends with a line feed;
// columns count bytes.
func CheckText(what, text string) error {
	if wrong := textError([]byte(text)); wrong != "" {
		return ErrBadRequest.With(what + " is not text in UTF-8: " + wrong)
	}
	return nil
}

// CheckURL refuses a URL whose path or query, decoded, is not text, with ErrBadRequest.
// U+FFFD in the path is refused too: API Gateway decodes the path, and this character
// replaces what it could not decode. No project and no category has it in its name.
func CheckURL(u *url.URL) error {
	if err := CheckText("the path", u.Path); err != nil {
		return err
	}
	if at := bytes.IndexRune([]byte(u.Path), utf8.RuneError); at >= 0 {
		return ErrBadRequest.With("the path is not text in UTF-8: " + position([]byte(u.Path), at) + ": this is U+FFFD, which replaces what is not UTF-8")
	}
	return CheckValues("the query", u.Query())
}

// CheckValues refuses a decoded query or form whose keys or values are not text, with
// ErrBadRequest. The error begins with what.
func CheckValues(what string, values url.Values) error {
	for key, list := range values {
		if err := CheckText(what, key); err != nil {
			return err
		}
		for _, value := range list {
			if err := CheckText(key+" in "+what, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// SyntaxError says where and why text is not one JSON value that every parser reads alike:
// it is not JSON, is not UTF-8, begins with a byte order mark, or a string in it has an
// escape that is half of a surrogate pair, such as \ud800, and so is no character. It
// returns "" for text that is. A line ends with a line feed; columns count bytes.
//
// The value at the path opaque, whose elements are the keys of nested objects, may have
// halves of surrogate pairs: it is passed on as it is, and its reader decides. Without a
// path no value may.
func SyntaxError(text []byte, opaque ...string) string {
	if wrong := textError(text); wrong != "" {
		return wrong
	}
	if json.Valid(text) {
		return unpaired(text, opaque)
	}
	var v json.RawMessage
	err := json.Unmarshal(text, &v)
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return "it is empty"
	case errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input":
		return position(text, len(text)) + ": it ends too early"
	case errors.As(err, &syntax):
		return position(text, int(syntax.Offset)-1) + ": " + syntax.Error()
	}
	return "it is not JSON"
}

// position is the line and the column of the byte at an index, both from 1.
func position(text []byte, at int) string {
	before := text[:at]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, at-bytes.LastIndexByte(before, '\n'))
}

// unpaired says where valid JSON has half of a surrogate pair outside of the value at the
// path opaque. It returns "" where it has none.
func unpaired(text []byte, opaque []string) string {
	if !bytes.Contains(text, []byte(`\u`)) {
		return ""
	}
	within := 0 // the elements of opaque that enclose the token
	for t := range tokens(text) {
		within = min(within, t.depth)
		if t.isKey && t.depth >= 1 && t.depth <= len(opaque) && within >= t.depth-1 {
			within = t.depth - 1
			if string(t.raw) == `"`+opaque[within]+`"` {
				within++
			}
		}
		// A key at this depth is that of the value, and no part of it.
		if len(opaque) > 0 && within == len(opaque) && (!t.isKey || t.depth > within) {
			continue
		}
		if at := surrogateHalf(t.raw); at >= 0 {
			return fmt.Sprintf("%s: %s is half of a surrogate pair and no character", position(text, t.at+at), t.raw[at:at+6])
		}
	}
	return ""
}

// surrogateHalf returns the index of the first escape in a valid JSON string that is half
// of a surrogate pair, or -1.
func surrogateHalf(raw []byte) int {
	for at := 0; at < len(raw); at++ {
		if raw[at] != '\\' {
			continue
		}
		unit := escapedUnit(raw[at:])
		switch {
		case unit >= 0xd800 && unit < 0xdc00:
			if low := escapedUnit(raw[at+6:]); low < 0xdc00 || low > 0xdfff {
				return at
			}
			at += 11
		case unit >= 0xdc00 && unit <= 0xdfff:
			return at
		case unit >= 0:
			at += 5
		default:
			at++
		}
	}
	return -1
}

// escapedUnit returns the UTF-16 code unit of an escape such as \ud800 at the beginning of
// raw, or -1 where there is none.
func escapedUnit(raw []byte) int {
	var unit [2]byte
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	if _, err := hex.Decode(unit[:], raw[2:6]); err != nil {
		return -1
	}
	return int(unit[0])<<8 | int(unit[1])
}

// token is a bracket or a string of a JSON text.
type token struct {
	at  int    // its index in the text
	raw []byte // as it is written
	// depth is the number of objects and arrays that enclose it; a bracket does not
	// enclose itself.
	depth int
	isKey bool
}

// tokens lists the brackets and strings of valid JSON, in their order.
func tokens(text []byte) iter.Seq[token] {
	return func(yield func(token) bool) {
		depth := 0
		for at := 0; at < len(text); at++ {
			t := token{at: at, depth: depth}
			switch text[at] {
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				t.depth = depth
			case '"':
				for at++; text[at] != '"'; at++ {
					if text[at] == '\\' {
						at++
					}
				}
				rest := bytes.TrimLeft(text[at+1:], " \t\r\n")
				t.isKey = len(rest) > 0 && rest[0] == ':'
			default:
				continue
			}
			t.raw = text[t.at : at+1]
			if !yield(t) {
				return
			}
		}
	}
}

// maxDataDepth is how deep the data of a message may be nested where the service, the event
// bus or a webhook parses it: other parsers have limits from about 100 on.
const maxDataDepth = 100

// checkPortable refuses data, valid JSON, that parsers read differently, with ErrBadRequest:
// more than maxDataDepth nested objects and arrays, and an object with a key twice. Keys
// are compared as encoding/json decodes them.
func checkPortable(data json.RawMessage) error {
	var keys []map[string]bool // those of the objects that enclose the token; nil for an array
	for t := range tokens(data) {
		switch t.raw[0] {
		case '{', '[':
			if len(keys) == maxDataDepth {
				return ErrBadRequest.With(fmt.Sprintf("data is nested deeper than %d levels", maxDataDepth))
			}
			keys = append(keys, nil)
		case '}', ']':
			keys = keys[:len(keys)-1]
		default:
			if !t.isKey {
				continue
			}
			var key string
			if err := json.Unmarshal(t.raw, &key); err != nil {
				return ErrBadRequest.With("data is not JSON")
			}
			of := &keys[len(keys)-1]
			if (*of)[key] {
				return ErrBadRequest.With(fmt.Sprintf("data has the key %.64q twice in one object", key))
			}
			if *of == nil {
				*of = make(map[string]bool)
			}
			(*of)[key] = true
		}
	}
	return nil
}
