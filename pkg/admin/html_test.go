package admin_test

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// element is an element of a page, or a text node, whose name is "".
type element struct {
	name, data string
	attr       map[string]string
	parent     *element
	children   []*element
}

// parse parses a page with XML's decoder and HTML's void elements. It requires that all
// other elements are closed.
func parse(t testing.TB, page string) *element {
	t.Helper()
	root := &element{name: "page"}
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	at := root
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if at != root {
				t.Fatalf("<%s> is not closed", at.name)
			}
			return root
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attr: make(map[string]string), parent: at}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			at.children = append(at.children, e)
			at = e
		case xml.EndElement:
			if at.name != token.Name.Local {
				t.Fatalf("<%s> is closed by </%s>", at.name, token.Name.Local)
			}
			at = at.parent
		case xml.CharData:
			at.children = append(at.children, &element{data: string(token), parent: at})
		}
	}
}

// all returns the descendants with one of these names, or all without names.
func (e *element) all(names ...string) []*element {
	var found []*element
	for _, c := range e.children {
		if len(names) == 0 && c.name != "" {
			found = append(found, c)
		}
		for _, name := range names {
			if c.name == name {
				found = append(found, c)
			}
		}
		found = append(found, c.all(names...)...)
	}
	return found
}

// with returns the element whose attribute has this value.
func (e *element) with(attribute, value string) *element {
	for _, c := range e.all() {
		if c.attr[attribute] == value {
			return c
		}
	}
	return nil
}

// text returns the text of the element with collapsed white space.
func (e *element) text() string {
	return strings.Join(strings.Fields(e.raw()), " ")
}

// inline are the elements that do not end a line.
var inline = []string{"a", "b", "code", "em", "i", "input", "label", "span", "strong", "time"}

func (e *element) raw() string {
	text := e.data
	for _, c := range e.children {
		text += c.raw()
	}
	if e.name != "" && !slices.Contains(inline, e.name) {
		text += "\n"
	}
	return text
}

// testID returns the text of the element with this data-testid.
func testID(t testing.TB, page, id string) string {
	t.Helper()
	e := parse(t, page).with("data-testid", id)
	if e == nil {
		t.Fatalf("the page has no element %s: %s", id, page)
	}
	return e.text()
}

// hidden returns the value of a hidden field of a form.
func hidden(t testing.TB, page, name string) string {
	t.Helper()
	for _, e := range parse(t, page).all("input") {
		if e.attr["type"] == "hidden" && e.attr["name"] == name {
			return e.attr["value"]
		}
	}
	t.Fatalf("no form has the hidden field %s: %s", name, page)
	return ""
}
