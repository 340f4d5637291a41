package serverapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"centrifuge/pkg/hub"
)

// ignored is a field that clients of Centrifugo send and that has no effect here. It may have
// any value.
type ignored struct{}

// UnmarshalJSON accepts any value.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// decode reads the params of a method into a struct. It refuses fields that the struct
// does not have.
func decode(body []byte, params any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return hub.ErrBadRequest.With("the body is not a JSON object")
	}
	known, documented := fieldNames(params)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			return hub.ErrBadRequest.With(fmt.Sprintf("unknown field %q", shorten(name))).WithHelp(suggest(name, documented))
		}
	}
	err := json.Unmarshal(body, params)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return hub.ErrBadRequest.With(wrong.Field + " is not " + typeName(params, wrong.Field))
	case err != nil:
		return hub.ErrBadRequest.With("the body does not match the parameters of this method")
	}
	return nil
}

// fieldNames are the names of the fields of a struct in JSON, in their order. Those that only
// some clients of Centrifugo send are not documented: those that are ignored, and those that
// are not in lower case.
func fieldNames(params any) (all, documented []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(params).Elem()) {
		if f.Anonymous {
			continue
		}
		name := f.Tag.Get("json")
		all = append(all, name)
		if f.Type != reflect.TypeFor[ignored]() && strings.ToLower(name) == name {
			documented = append(documented, name)
		}
	}
	return all, documented
}

// typeName is the type of a field, "since" or "since.epoch", in words.
func typeName(params any, path string) string {
	t := reflect.TypeOf(params).Elem()
	for name := range strings.SplitSeq(path, ".") {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map {
			return "an object of strings"
		}
		for _, f := range reflect.VisibleFields(t) {
			if f.Tag.Get("json") == name {
				t = f.Type
				break
			}
		}
	}
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() != reflect.String {
			return "an array of objects"
		}
		return "an array of strings"
	case reflect.Float64:
		return "a number"
	case reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Map:
		return "an object of strings"
	case reflect.Pointer:
		return "an object"
	}
	return "a string"
}

// maxShownBytes limits a name from a request in an error.
const maxShownBytes = 64

func shorten(name string) string {
	if len(name) <= maxShownBytes {
		return name
	}
	return strings.ToValidUTF8(name[:maxShownBytes], "") + "…"
}

// suggest says which of names was probably meant by name, or else which there are.
func suggest(name string, names []string) string {
	slices.Sort(names)
	best, least := "", len(name)
	for _, n := range names {
		// A long name would take long to compare, and resembles none.
		if d := len(n)/3 + 1; len(name) <= maxShownBytes && levenshtein.ComputeDistance(strings.ToLower(name), n) <= min(d, least-1) {
			best, least = n, levenshtein.ComputeDistance(strings.ToLower(name), n)
		}
	}
	switch {
	case best != "":
		return "did you mean " + best + "?"
	case len(names) == 0:
		return "there are no fields here"
	}
	return "there are " + strings.Join(names, ", ")
}
