package hub

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSyntaxError(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		opaque     []string
		want       string
	}{
		{"an object", `{"a":"x"}`, nil, ""},
		{"a replacement character", `{"a":"` + "\ufffd" + `"}`, nil, ""},
		{"an escaped replacement character", `{"a":"\ufffd"}`, nil, ""},
		{"a byte order mark in a string", `{"a":"` + "\ufeff" + `"}`, nil, ""},
		{"a surrogate pair", `{"a":"\ud83d\ude00\uD83D\uDE00"}`, nil, ""},
		{"an escaped backslash before u", `{"a":"\\ud800"}`, nil, ""},
		{"nothing", ``, nil, "it is empty"},
		{"white space", " \n", nil, "it is empty"},
		{"Latin-1", "{\"text\":\n\"caf\xe9\"}", nil, "line 2, column 5: this byte is not UTF-8"},
		{"a character that is cut", "\"\xf0\x9f\x98\"", nil, "line 1, column 2: this byte is not UTF-8"},
		{"an encoded surrogate", "\"\xed\xa0\x80\"", nil, "line 1, column 2: this byte is not UTF-8"},
		{"an overlong encoding", "\"\xc0\xaf\"", nil, "line 1, column 2: this byte is not UTF-8"},
		{"a character beyond Unicode", "\"\xf4\x90\x80\x80\"", nil, "line 1, column 2: this byte is not UTF-8"},
		{"UTF-16", "{\x00}\x00", nil, "line 1, column 2: invalid character '\\x00' looking for beginning of object key string"},
		{"a byte order mark", "\ufeff{}", nil, "line 1, column 1: this is a byte order mark: send the text without it"},
		{"a byte order mark of UTF-16", "\xff\xfe{\x00", nil, "line 1, column 1: this byte is not UTF-8"},
		{"a comma too many", `{"a":1,}`, nil, "line 1, column 8: invalid character '}' looking for beginning of object key string"},
		{"a text that ends too early", `{"a":`, nil, "line 1, column 6: it ends too early"},
		{"two values", `{}{}`, nil, "line 1, column 3: invalid character '{' after top-level value"},
		{"a high half", `{"a":"\ud800"}`, nil, `line 1, column 7: \ud800 is half of a surrogate pair and no character`},
		{"a low half", `{"a":"x\uDFFF"}`, nil, `line 1, column 8: \uDFFF is half of a surrogate pair and no character`},
		{"two high halves", `["\ud83d\ud83d\ude00"]`, nil, `line 1, column 3: \ud83d is half of a surrogate pair and no character`},
		{"a high half before a character", `["\ud83dx"]`, nil, `line 1, column 3: \ud83d is half of a surrogate pair and no character`},
		{"a half in a key", `{"\ud800":1}`, nil, `line 1, column 3: \ud800 is half of a surrogate pair and no character`},
		{"a half in the opaque value", `{"a":"x","data":{"\ud800":["\udc00"]},"b":"y"}`, []string{"data"}, ""},
		{"a half after the opaque value", `{"data":{"a":["\ud800"]},"b":"\ud801"}`, []string{"data"}, `line 1, column 31: \ud801 is half of a surrogate pair and no character`},
		{"a half before the opaque value", `{"b":"\ud801","data":"\ud800"}`, []string{"data"}, `line 1, column 7: \ud801 is half of a surrogate pair and no character`},
		{"a half in a key beside the opaque value", `{"data":"\ud800","\ud801":1}`, []string{"data"}, `line 1, column 19: \ud801 is half of a surrogate pair and no character`},
		{"a half in a value of that name elsewhere", `{"b":{"data":"\ud800"}}`, []string{"data"}, `line 1, column 15: \ud800 is half of a surrogate pair and no character`},
		{"a half in the nested opaque value", `{"params":{"data":{"x":"\ud800"}},"id":"1"}`, []string{"params", "data"}, ""},
		{"a half beside the nested opaque value", `{"params":{"data":{},"channel":"\ud800"}}`, []string{"params", "data"}, `line 1, column 33: \ud800 is half of a surrogate pair and no character`},
		{"a half in half of the path", `{"data":"\ud800","params":{}}`, []string{"params", "data"}, `line 1, column 10: \ud800 is half of a surrogate pair and no character`},
		{"a half in the path of an array", `{"params":[{"data":"\ud800"}]}`, []string{"params", "data"}, `line 1, column 21: \ud800 is half of a surrogate pair and no character`},
		{"a half after the path has ended", `{"params":{"data":1},"x":{"data":"\ud800"}}`, []string{"params", "data"}, `line 1, column 35: \ud800 is half of a surrogate pair and no character`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := SyntaxError([]byte(tt.text), tt.opaque...); got != tt.want {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
}

// FuzzSyntaxError checks that text which is accepted is valid JSON in UTF-8 and decodes
// without a loss: whatever a name is decoded to encodes the same name again.
func FuzzSyntaxError(f *testing.F) {
	for _, seed := range []string{`{}`, `{"data":"\ud800"}`, `["\ud83d\ude00", "\\ud800"]`, "\"\xff\"", "\ufeff1", `{"a":{"data":"\udc00"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = SyntaxError(text, "data")
		if SyntaxError(text) != "" {
			return
		}
		if !utf8.Valid(text) || !json.Valid(text) {
			t.Fatalf("%q is accepted", text)
		}
		for token := range tokens(text) {
			var s string
			if token.raw[0] != '"' || json.Unmarshal(token.raw, &s) != nil {
				continue
			}
			if written := strings.Count(string(token.raw), "\ufffd") + strings.Count(strings.ToLower(string(token.raw)), `\ufffd`); strings.Count(s, "\ufffd") > written {
				t.Fatalf("%q decodes to %q", token.raw, s)
			}
		}
		_ = checkPortable(text)
	})
}

func TestCheckURL(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"characters of any script", "/rpc/caf%C3%A9?q=%E2%82%AC", ""},
		{"a path that is not UTF-8", "/rpc/caf%E9", "bad request: the path is not text in UTF-8: line 1, column 9: this byte is not UTF-8"},
		{"a path that was replaced", "/rpc/caf%EF%BF%BD", "bad request: the path is not text in UTF-8: line 1, column 9: this is U+FFFD, which replaces what is not UTF-8"},
		{"a key of the query", "/?%FF=1", "bad request: the query is not text in UTF-8: line 1, column 1: this byte is not UTF-8"},
		{"a value of the query", "/?q=a%FF", "bad request: q in the query is not text in UTF-8: line 1, column 2: this byte is not UTF-8"},
		{"a byte order mark in a value", "/?q=%EF%BB%BFa", "bad request: q in the query is not text in UTF-8: line 1, column 1: this is a byte order mark: send the text without it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := CheckURL(u); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
}

func TestCheckPortable(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"a string", `"x"`, ""},
		{"equal keys in different objects", `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, ""},
		{"equal strings that are no keys", `["a","a",{"a":"a"}]`, ""},
		{"keys in different case", `{"a":1,"A":2}`, ""},
		{"100 levels", strings.Repeat("[", 100) + strings.Repeat("]", 100), ""},
		{"100 levels, twice", `[` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `,` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `]`, ""},
		{"101 levels", strings.Repeat("[", 101) + strings.Repeat("]", 101), "bad request: data is nested deeper than 100 levels"},
		{"101 levels of objects", strings.Repeat(`{"a":`, 101) + `1` + strings.Repeat("}", 101), "bad request: data is nested deeper than 100 levels"},
		{"a key twice", `{"a":1,"b":2,"a":1}`, `bad request: data has the key "a" twice in one object`},
		{"a key twice, once escaped", `{"a":1,"\u0061":2}`, `bad request: data has the key "a" twice in one object`},
		{"a key twice in a nested object", `{"x":[{"":1,"":2}]}`, `bad request: data has the key "" twice in one object`},
		{"a key twice around an object", `{"a":{"b":1},"a":2}`, `bad request: data has the key "a" twice in one object`},
		{"keys that parsers replace alike", `{"\ud800":1,"\ud801":2}`, "bad request: data has the key \"\ufffd\" twice in one object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := checkPortable([]byte(tt.data)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
}
