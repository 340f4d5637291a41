package classic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// SyntaxError says where and why text is not JSON in UTF-8. It returns "" for text that
// is. A line ends with a line feed; columns count bytes.
func SyntaxError(text []byte) string {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return position(text, at) + ": this byte is not UTF-8"
		}
		at += size
	}
	var v json.RawMessage
	err := json.Unmarshal(text, &v)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return ""
	case len(bytes.TrimSpace(text)) == 0:
		return "it is empty"
	case errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input":
		return position(text, len(text)) + ": it ends too early"
	case errors.As(err, &syntax):
		return position(text, int(syntax.Offset)-1) + ": " + syntax.Error()
	}
	return err.Error()
}

// position is the line and the column of the byte at an index, both from 1.
func position(text []byte, at int) string {
	before := text[:at]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, at-bytes.LastIndexByte(before, '\n'))
}
