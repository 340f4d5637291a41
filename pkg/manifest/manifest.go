// Package manifest is the written form of projects and categories, in JSON or YAML.
// Seed files, the admin API and cent share it.
//
// It holds no secrets. It knows neither where projects are stored nor who may change
// them. The hub decides which values are valid.
package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"centrifuge/pkg/hub"
)

// ProjectOptions are the options of a project, written under their JSON names.
type ProjectOptions = hub.ProjectOptions

// CategoryOptions are the options of a category, written under their JSON names.
type CategoryOptions = hub.CategoryOptions

// Project is the written form of a project.
type Project struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Options    ProjectOptions `json:"options"`
	Categories []Category     `json:"categories,omitempty"`
	// APIKeys describe the keys of the server API. They are read only.
	APIKeys []APIKey `json:"api_keys,omitempty"`
	// PreviousSecretUntil is when the previous secret ends, where there is one. It is read only.
	PreviousSecretUntil time.Time `json:"previous_secret_until,omitzero"`
}

// APIKey describes an API key, without the key. A key that is older than names has
// neither name nor time.
type APIKey struct {
	// Fingerprint is the start of the key's hash.
	Fingerprint string    `json:"fingerprint"`
	Name        string    `json:"name,omitempty"`
	Created     time.Time `json:"created,omitzero"`
}

// Fingerprint is the part of an API key's hash by which people recognize the key.
func Fingerprint(hash string) string { return hash[:min(len(hash), 8)] }

// namelessElement stands for the category without a name in a path of the admin API: no
// category has it as its name.
const namelessElement = ":"

// PathElement is what stands for a category in a path of the admin API.
func PathElement(category string) string { return cmp.Or(category, namelessElement) }

// CategoryOf is the reverse of PathElement. It fails with hub.ErrBadRequest for an empty
// element, which a path loses.
func CategoryOf(element string) (name string, err error) {
	switch element {
	case "":
		return "", hub.ErrBadRequest.With(`the path has no category: the category without a name is written ":"`)
	case namelessElement:
		return "", nil
	}
	return element, nil
}

// Category is the written form of a category. The category without a name has the name "".
type Category struct {
	Name string `json:"name"`
	CategoryOptions
}

// FromHub returns the written form of a project, without its secrets. Categories are
// sorted by name, API keys by age.
func FromHub(p *hub.Project) Project {
	written := Project{ID: p.ID, Name: p.Name, Options: p.Options, PreviousSecretUntil: p.PreviousUntil}
	for _, name := range slices.Sorted(maps.Keys(p.Categories)) {
		written.Categories = append(written.Categories, Category{Name: name, CategoryOptions: p.Categories[name].CategoryOptions})
	}
	for _, hash := range p.APIKeyHashes {
		label := p.APIKeyLabels[hash]
		written.APIKeys = append(written.APIKeys, APIKey{Fingerprint(hash), label.Name, label.Created})
	}
	return written
}

// Decode reads JSON into v, a value of this package or a value that contains one. An option
// may have its alias instead of its name. It fails with hub.ErrBadRequest on what
// hub.SyntaxError refuses, on a value of another type, on an unknown key, on an alias that
// contradicts its option and on anything after the value. The error says where.
func Decode(document []byte, v any) error {
	if wrong := hub.SyntaxError(document); wrong != "" {
		return hub.ErrBadRequest.With("not JSON: " + wrong)
	}
	document, err := withoutAliases(document, maxDepth)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType):
		// The field is a path that begins with the names of Go structs.
		key := wrongType.Field[strings.LastIndex(wrongType.Field, ".")+1:]
		return hub.ErrBadRequest.With(fmt.Sprintf("%s is not %s", cmp.Or(key, "the value"), jsonType(wrongType.Type)))
	}
	// What remains is an unknown key, for which encoding/json has no error type.
	return hub.ErrBadRequest.With(strings.TrimPrefix(err.Error(), "json: "))
}

// jsonType names the JSON type of a Go type.
func jsonType(t reflect.Type) string {
	if t == reflect.TypeFor[hub.Duration]() {
		return `a duration: write whole milliseconds, such as 60000, or a string, such as "60s" or "24h"`
	}
	switch k := t.Kind(); k {
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "an object"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "a " + k.String()
	}
}
