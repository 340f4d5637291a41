// Package sanitizer removes harmful HTML from the strings in a JSON value, so that a
// page may assign them to innerHTML.
//
// Every string value, at any depth, is parsed as a fragment of HTML and written with
// these elements only:
//
//   - blocks: p, div, h1 to h6, blockquote, pre, hr, br, wbr
//   - emphasis: b, strong, i, em, u, s, strike, del, ins, mark, small, big, sub, sup, tt
//   - meaning: abbr, cite, code, dfn, kbd, q, samp, time, var
//   - lists: ul, ol, li, dl, dt, dd
//   - tables: table, caption, thead, tbody, tfoot, tr, th, td
//
// and these attributes only: colspan and rowspan, from 1 to 99, of th and td, and
// start, from 0 to 999999, of ol. Styles, classes, ids, event handlers, data attributes,
// comments, forms and frames are removed.
//
// Where domains are allowed, two more elements are:
//
//   - a with href, which always gets rel="nofollow noopener"
//   - img with src, alt, title, and width and height, from 1 to 9999
//
// Their addresses are absolute, with the scheme https or http, and a host that is one of
// the domains or a subdomain: "example.com" allows "img.example.com" and any port, but
// neither "badexample.com" nor "example.com." with a dot. Refused are relative addresses,
// addresses with a user, hosts with other characters than ASCII letters, digits, "-",
// "_" and ".", and addresses that net/url cannot parse. For a host in another script, the
// domain and the address use its punycode form. A link with a refused address loses its
// tags and keeps its text. An image with one keeps its other attributes; without any it
// is removed.
//
// Of other elements the tags are removed and the text is kept. Exceptions are script,
// style, title, iframe, frame, frameset, noscript, nostyle, noembed, noframes and object:
// they are removed with their content. If such an element has no end tag, everything after
// it is removed. A tag of one that closes itself begins it nevertheless, as in browsers.
//
// In text only "<" and "&" are escaped: a text without them is unchanged, to the byte. An
// entity such as &eacute; becomes its character. The result is safe as the content of an
// element, not in an attribute, a script or a style sheet. Tags are not balanced: innerHTML
// balances them, a page built by concatenating strings does not. Strings that are not meant
// as HTML are cleaned, too: an address with an "&" gets "&amp;".
//
// Keys, numbers, literals and white space are unchanged, to the byte. A key with a "<" is
// refused: cleaned, it would be another key. So a page may assign a key to innerHTML too.
//
// The rules are few, and a library for any rules compiles its own at the start of each process, for
// 1.5 ms: a test holds this package to what that library decides. The tokens are those of
// golang.org/x/net/html.
//
// The package does not know messages and does not limit their size: the names of channels
// and users, and infos, are not cleaned. A cleaned string can be about five times as long as
// the original.
package sanitizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"centrifuge/pkg/hub"
)

// Clean returns data with every string value cleaned, as the package comment describes.
// It allows links and images of allowedDomains, which are host names in lower case.
// Cleaning the result again changes nothing. Clean does not change data, but the result
// may share memory with it. It fails with hub.ErrBadRequest if data is not JSON, is nested
// deeper than encoding/json allows, or has a key with a "<". It is safe for concurrent use.
func Clean(data json.RawMessage, allowedDomains []string) (json.RawMessage, error) {
	if !json.Valid(data) {
		return nil, hub.ErrBadRequest.With("data is not JSON")
	}
	p := policy{allowedDomains}
	var out bytes.Buffer
	written := 0 // bytes of data that are in out
	for at := 0; at < len(data); at++ {
		if data[at] != '"' {
			continue
		}
		begin := at
		at = stringEnd(data, begin)
		text := data[begin : at+1]
		if !mayContainMarkup(text) {
			continue
		}
		if isKey(data[at+1:]) {
			if err := checkKey(text); err != nil {
				return nil, err
			}
			continue
		}
		cleaned, err := p.cleanString(text)
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

// stringEnd returns the index of the closing quote of the string that begins at
// data[begin]. The data must be valid JSON.
func stringEnd(data []byte, begin int) int {
	at := begin + 1
	for ; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at
}

// isKey reports whether a string is the key of an object. The rest is the data after it.
func isKey(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

// checkKey refuses an encoded key with a "<": a cleaned key would be another key.
func checkKey(text []byte) error {
	var key string
	if err := json.Unmarshal(text, &key); err != nil {
		return fmt.Errorf("decode key: %w", err)
	}
	if strings.Contains(key, "<") {
		return hub.ErrBadRequest.With(fmt.Sprintf(`data has the key %.64q: in this category a key must not have a "<"`, key))
	}
	return nil
}

// mayContainMarkup reports whether an encoded string may contain a "<" or an "&".
func mayContainMarkup(text []byte) bool {
	return bytes.ContainsAny(text, "<&") || bytes.Contains(text, []byte(`\u`))
}

// cleanString cleans an encoded string. It returns nil if that changes nothing.
func (p policy) cleanString(text []byte) ([]byte, error) {
	var original string
	if err := json.Unmarshal(text, &original); err != nil {
		return nil, fmt.Errorf("decode string: %w", err)
	}
	if !strings.ContainsAny(original, "<&") {
		return nil, nil
	}
	cleaned := p.clean(original)
	if cleaned == original {
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
