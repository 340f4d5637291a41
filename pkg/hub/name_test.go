package hub

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCheckProjectID(t *testing.T) {
	const ambiguous = "bad request: project id ends like a signed request or JWT, so that the token of a user could be the signature of one: use a longer id, such as "
	for _, tt := range []struct{ id, want string }{
		{"shop", ""},
		{"x", ""},
		{"1019", ""},
		{"project-9", ""},
		{"café · 例え", ""},
		{"shop.example.com", ""},
		{"a+b@c=d&e#f;g", ""},
		{"...", ""},
		{strings.Repeat("x", 255), ""},

		{"", "bad request: project id is empty"},
		{strings.Repeat("x", 256), "limit exceeded: project id is 256 bytes, at most 255 are allowed"},
		{"caf\xe9", "bad request: project id is not UTF-8"},
		{"caf\ufffd", "bad request: project id has the character U+FFFD, which replaces text that could not be decoded"},
		{".", `bad request: project id has an element "", "." or ".." between slashes, which a path loses`},
		{"..", `bad request: project id has an element "", "." or ".." between slashes, which a path loses`},
		{"a/b", `bad request: project id has "/", at which a path is split`},
		{"100%", `bad request: project id has "?" or "%", which API Gateway does not pass on unchanged in a path`},
		{"what?", `bad request: project id has "?" or "%", which API Gateway does not pass on unchanged in a path`},
		{"a\nb", "bad request: project id has a control character, which clients and proxies refuse in a URL"},
		{"a\u0085b", "bad request: project id has a control character, which clients and proxies refuse in a URL"},
		{" a", "bad request: project id begins or ends with a space, which forms and files remove"},
		{"a\u00a0", "bad request: project id begins or ends with a space, which forms and files remove"},
		{"\ufeffa", "bad request: project id begins or ends with a space, which forms and files remove"},
		{"9", ambiguous + `"project-9"`},
		{"0", ambiguous + `"project-0"`},
		{"19", ambiguous + `"project-19"`},
		{"a=", ambiguous + `"project-a="`},
		{"fQ", ambiguous + `"project-fQ"`},
		{"J9", ambiguous + `"project-J9"`},
		{"IjoxfQ", ambiguous + `"project-IjoxfQ"`},
		{"eyJhbGciOiJIUzI1NiJ9.", ambiguous + `"project-eyJhbGciOiJIUzI1NiJ9."`},
		{".eyJzdWIiOiIxIn0", ambiguous + `"project-.eyJzdWIiOiIxIn0"`},
	} {
		t.Run(tt.id, func(t *testing.T) {
			got := ""
			if err := CheckProjectID(tt.id); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
	var refused []int
	for id := range 3000 {
		if CheckProjectID(strconv.Itoa(id)) != nil {
			refused = append(refused, id)
		}
	}
	if want := []int{0, 9, 19, 30, 59, 99, 119, 319}; !slices.Equal(refused, want) {
		t.Errorf("the numbers %v are refused, expected %v", refused, want)
	}
	for range 1000 {
		if id := NewProjectID(time.Now()); len(id) != 24 || CheckProjectID(id) != nil {
			t.Fatalf("the new id %q is refused", id)
		}
	}
}

func TestCategoryName(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"chat", ""},
		{"a/b c/d", ""},
		{"9", ""},
		{"", ""},
		{"a$b", ""},
		{"$a", `bad request: a category name must not begin with "$"`},
		{"a:b", `bad request: a category name must not contain ":"`},
		{"..", `bad request: category name has an element "", "." or ".." between slashes, which a path loses`},
		{"a/../b", `bad request: category name has an element "", "." or ".." between slashes, which a path loses`},
		{"a//b", `bad request: category name has an element "", "." or ".." between slashes, which a path loses`},
		{"/a", `bad request: category name has an element "", "." or ".." between slashes, which a path loses`},
		{"a/", `bad request: category name has an element "", "." or ".." between slashes, which a path loses`},
		{"a?", `bad request: category name has "?" or "%", which API Gateway does not pass on unchanged in a path`},
		{"chat ", "bad request: category name begins or ends with a space, which forms and files remove"},
		{"ch\x00at", "bad request: category name has a control character, which clients and proxies refuse in a URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := (Category{Name: tt.name}).Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
}

// FuzzProjectID checks that no project can have an id with which the text that is signed for
// a user's token, user ‖ id, is that of a request, id ‖ base64 of a command, or that of a
// JWT; nor one with which the text of a request is that of a JWT.
func FuzzProjectID(f *testing.F) {
	for _, seed := range []string{`{}`, `{"id":"1","method":"broadcast","params":{"data":{"text":"héllo"}}}`, "{\"a\":null}\n", `{"sub":"2694","exp":1700000060}`, `{"a":[1,{"b":true}]}  `} {
		f.Add([]byte(seed), []byte(`{"alg":"HS256","typ":"JWT"}`))
	}
	f.Fuzz(func(t *testing.T, command, header []byte) {
		var object map[string]json.RawMessage
		if SyntaxError(command, "params", "data") != "" || json.Unmarshal(command, &object) != nil || object == nil || len(command) > 500 {
			return
		}
		request := base64.StdEncoding.EncodeToString(command)
		// The request may be shorter than the id that it follows.
		for _, text := range []string{request, request + request} {
			for from := range text {
				if id := text[from:]; strings.HasSuffix(id+request, id) && !isAmbiguous(id) {
					t.Fatalf("id %q ends the request %q", id, request)
				}
			}
		}
		if SyntaxError(header) != "" || json.Unmarshal(header, &object) != nil || object == nil || len(header) > 500 {
			return
		}
		head := base64.RawURLEncoding.EncodeToString(header) + "."
		token := head + base64.RawURLEncoding.EncodeToString(command)
		for from := range token {
			if !isAmbiguous(token[from:]) {
				t.Fatalf("id %q ends the JWT %q", token[from:], token)
			}
		}
		for to := len(head); to < len(token); to++ {
			if !isAmbiguous(token[:to]) {
				t.Fatalf("id %q begins the JWT %q", token[:to], token)
			}
		}
	})
}
