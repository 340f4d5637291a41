package hub

import (
	"bytes"
	"encoding/base64"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A project id and the name of a category are elements of URLs: /rpc/{project}, the pages
// and the API for administrators. They are checked when they are made; those that exist
// stay valid.

// checkPathName refuses a name that does not arrive as it was sent in the path of a URL.
// What API Gateway does to paths is in localstack/README.md.
func checkPathName(what, name string) error {
	if err := checkName(what, name); err != nil {
		return err
	}
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	switch {
	case strings.ContainsFunc(name, unicode.IsControl):
		return ErrBadRequest.With(what + " has a control character, which clients and proxies refuse in a URL")
	case strings.ContainsRune(name, utf8.RuneError):
		return ErrBadRequest.With(what + " has the character U+FFFD, which replaces text that could not be decoded")
	case unicode.IsSpace(first) || unicode.IsSpace(last) || first == '\ufeff':
		return ErrBadRequest.With(what + " begins or ends with a space, which forms and files remove")
	case strings.ContainsAny(name, "?%"):
		return ErrBadRequest.With(what + ` has "?" or "%", which API Gateway does not pass on unchanged in a path`)
	case path.Clean("/"+name) != "/"+name:
		return ErrBadRequest.With(what + ` has an element "", "." or ".." between slashes, which a path loses`)
	}
	return nil
}

// CheckProjectID refuses an id that no new project may have, with ErrBadRequest or
// ErrLimitExceeded: one that a path does not carry, and one with which a signature of one
// kind could be right as one of another kind (see package auth).
func CheckProjectID(id string) error {
	if err := checkPathName("project id", id); err != nil {
		return err
	}
	if strings.Contains(id, "/") {
		return ErrBadRequest.With(`project id has "/", at which a path is split`)
	}
	if isAmbiguous(id) {
		return ErrBadRequest.With(`project id ends like a signed request or JWT, so that the token of a user could be the signature of one: use a longer id, such as "project-` + id + `"`)
	}
	return nil
}

// NewProjectID makes an id that CheckProjectID accepts.
func NewProjectID(now time.Time) string {
	for {
		// An id that is refused is very rare.
		if id := NewID(now); CheckProjectID(id) == nil {
			return id
		}
	}
}

// isAmbiguous reports whether the text that is signed for some user's token, user ‖ id, can
// be that of a request, id ‖ base64 of JSON, or of a JWT, base64url of JSON twice with a
// full stop between; or that of a request can be that of a JWT. It may report it of an id
// that is not, never the other way round.
func isAmbiguous(id string) bool {
	head, tail, hasStop := strings.Cut(id, ".")
	switch {
	case hasStop && head == "":
		return endsJWT(tail)
	case hasStop:
		// The head may be the header of a JWT, or its end.
		return endsJWT(head)
	}
	// The padding of base64 says nothing about what precedes it.
	return strings.HasSuffix(id, "=") || endsJSON(id, base64.RawStdEncoding, 4) || endsJWT(id)
}

// endsJWT reports whether a part of a JWT can end with this text.
func endsJWT(end string) bool { return endsJSON(end, base64.RawURLEncoding.Strict(), 2, 3, 4) }

// endsJSON reports whether some JSON object in an encoding, without padding, can end with
// this text. The last group of its digits may have these sizes.
func endsJSON(end string, encoding *base64.Encoding, groups ...int) bool {
	if end == "" {
		return false
	}
	if len(end) == 1 {
		// One character decides no byte: try what may precede it.
		const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
		return strings.ContainsFunc(digits, func(before rune) bool { return endsJSON(string(before)+end, encoding, groups...) })
	}
	// Unknown characters are put before the text until all groups but the last are whole,
	// and the bytes that depend on them are dropped.
	for _, last := range groups {
		unknown := ((last-len(end))%4 + 4) % 4
		decoded, err := encoding.DecodeString(strings.Repeat("A", unknown) + end)
		if err == nil && endsObject(decoded[min(unknown, len(decoded)):]) {
			return true
		}
	}
	return false
}

// endsObject reports whether a JSON object in UTF-8 can end with these bytes.
func endsObject(end []byte) bool {
	const space = " \t\r\n"
	end = bytes.TrimRight(end, space)
	if len(end) == 0 {
		return true
	}
	value, isObject := bytes.CutSuffix(end, []byte("}"))
	value = bytes.TrimRight(value, space)
	if !isObject || len(value) > 0 && bytes.IndexByte([]byte(`{}]"el0123456789`), value[len(value)-1]) < 0 {
		return false
	}
	for range utf8.UTFMax - 1 {
		// The first bytes may be the rest of a character.
		if len(value) > 0 && !utf8.RuneStart(value[0]) {
			value = value[1:]
		}
	}
	return utf8.Valid(value)
}
