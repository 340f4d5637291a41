// Package sanitizer takes out of the strings in a JSON value whatever HTML could do
// harm with, so that a page may put them into its innerHTML.
//
// Every string value, at any depth, is read as a fragment of HTML and written again
// with these elements only:
//
//   - blocks: p, div, h1 to h6, blockquote, pre, hr, br, wbr
//   - emphasis: b, strong, i, em, u, s, strike, del, ins, mark, small, big, sub, sup, tt
//   - meaning: abbr, cite, code, dfn, kbd, q, samp, time, var
//   - lists: ul, ol, li, dl, dt, dd
//   - tables: table, caption, thead, tbody, tfoot, tr, th, td
//
// and these attributes only: colspan and rowspan, from 1 to 99, of th and td, and
// start, from 0 to 999999, of ol. There are no styles, classes, ids, event handlers,
// data attributes, comments, forms or frames.
//
// Where domains are allowed there are two elements more:
//
//   - a with href, which always gets rel="nofollow noopener"
//   - img with src, alt, title, and width and height, from 1 to 9999
//
// An address in them is absolute, its scheme is https or http, and its host is one of
// the domains or below one: "example.com" allows "img.example.com", any port, and
// neither "badexample.com" nor "example.com." with a dot. Addresses that are relative,
// name a user, or whose host is anything but ASCII letters, digits, "-", "_" and "."
// are refused, as are those that net/url cannot parse; a host in another script is
// allowed by its punycode form in both places. A link with a refused address loses its
// tags and keeps its text, an image keeps its other attributes, or goes if it has none.
//
// Of every other element the tags go and the text stays, but for script, style, title,
// iframe, frame, frameset, noscript, nostyle, noembed, noframes and object, which go with
// what is in them; where such an element does not end, so does everything after it.
//
// In text only "<" and "&" are escaped: a text that has neither is as it was, to the
// byte. An entity such as &eacute; becomes its character. What comes out is safe as the
// content of an element; it is not meant for an attribute, a script or a style sheet.
// Tags are not balanced: innerHTML does that, a page put together as text does not.
// Strings that are no HTML are treated as such all the same: an address with an "&"
// comes out with "&amp;".
//
// Keys, numbers, literals and white space stay as they are, to the byte. The package
// knows nothing of messages and does not limit their size; cleaning can make a string
// about five times as long.
package sanitizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"centrifuge/pkg/hub"
)

// Clean returns data with every string value cleaned, as the package comment says, with
// links and images to allowedDomains: host names in lower case. Cleaning again changes
// nothing. What is returned may share memory with data, which is not changed. Clean
// fails with hub.ErrBadRequest where data is not JSON or nests deeper than
// encoding/json allows. It is safe for concurrent use.
func Clean(data json.RawMessage, allowedDomains []string) (json.RawMessage, error) {
	if !json.Valid(data) {
		return nil, hub.ErrBadRequest.With("data is not JSON")
	}
	c := cleaner{domains: allowedDomains}
	var out bytes.Buffer
	written := 0 // how much of data is in out
	for at := 0; at < len(data); at++ {
		if data[at] != '"' {
			continue
		}
		begin := at
		at = stringEnd(data, begin)
		text := data[begin : at+1]
		if isKey(data[at+1:]) || !mayHoldMarkup(text) {
			continue
		}
		cleaned, err := c.clean(text)
		if err != nil {
			return nil, err
		}
		if cleaned != nil {
			out.Write(data[written:begin])
			out.Write(cleaned)
			written = at + 1
		}
	}
	if written == 0 {
		return data, nil
	}
	out.Write(data[written:])
	return out.Bytes(), nil
}

// stringEnd returns where the string that begins at data[begin] has its last quote. The
// data is valid JSON.
func stringEnd(data []byte, begin int) int {
	at := begin + 1
	for ; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at
}

// isKey tells by what follows a string whether it is the key of an object.
func isKey(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

// mayHoldMarkup tells whether a string as it is written may hold a "<" or an "&".
func mayHoldMarkup(text []byte) bool {
	return bytes.ContainsAny(text, "<&") || bytes.Contains(text, []byte(`\u`))
}

// cleaner cleans the strings of one value, for which it looks up the policy once, and
// only if it needs one.
type cleaner struct {
	domains []string
	policy  *policy
}

// clean returns a string of JSON cleaned, nil where that changes nothing.
func (c *cleaner) clean(text []byte) ([]byte, error) {
	var given string
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, fmt.Errorf("decode string: %w", err)
	}
	if !strings.ContainsAny(given, "<&") {
		return nil, nil
	}
	if c.policy == nil {
		c.policy = policies.get(c.domains)
	}
	cleaned := c.policy.clean(given)
	if cleaned == given {
		return nil, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(cleaned); err != nil {
		return nil, fmt.Errorf("encode string: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
