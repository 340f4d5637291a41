// Package manifest is the written form of projects and categories: the one that
// seed files, the admin API and cent share, in JSON or YAML, and the reference of
// their options, from which forms and documents are made.
//
// It knows neither where structure is kept nor who may change it, and holds no
// secrets. Which values are valid is the hub's to say.
package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"centrifuge/pkg/hub"
)

// Project is a project as it is written.
type Project struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Options    ProjectOptions `json:"options"`
	Categories []Category     `json:"categories,omitempty"`
}

// ProjectOptions are the options of a project; ProjectReference describes them.
type ProjectOptions struct {
	ValidateURL       string   `json:"validate_url,omitempty"`
	AuthAttempts      int      `json:"auth_attempts,omitempty"`
	BackOffInterval   int      `json:"back_off_interval,omitempty"`
	BackOffMaxTimeout int      `json:"back_off_max_timeout,omitempty"`
	AllowMD5          bool     `json:"allow_md5,omitempty"`
	Origins           []string `json:"origins,omitempty"`
	WebhookURL        string   `json:"webhook_url,omitempty"`
}

// Category is a category as it is written.
type Category struct {
	Name string `json:"name"`
	CategoryOptions
}

// CategoryOptions are the options of a category; CategoryReference describes them.
type CategoryOptions struct {
	Bidirectional   bool     `json:"bidirectional,omitempty"`
	PublishToAdmins bool     `json:"publish_to_admins,omitempty"`
	Private         bool     `json:"private,omitempty"`
	Presence        bool     `json:"presence,omitempty"`
	JoinLeave       bool     `json:"join_leave,omitempty"`
	CleanHTML       bool     `json:"clean_html,omitempty"`
	AllowedDomains  []string `json:"allowed_domains,omitempty"`
	Hooks           bool     `json:"hooks,omitempty"`
	Shards          int      `json:"shards,omitempty"`
	MaxMessageBytes int      `json:"max_message_bytes,omitempty"`
}

// FromHub writes a project, without its secrets, with its categories by name.
func FromHub(p *hub.Project) Project {
	o := p.Options
	w := Project{ID: p.ID, Name: p.Name, Options: ProjectOptions{
		ValidateURL: o.ValidateURL, AuthAttempts: o.AuthAttempts,
		BackOffInterval: int(o.BackOffInterval.Milliseconds()), BackOffMaxTimeout: int(o.BackOffMaxTimeout.Milliseconds()),
		AllowMD5: o.AllowMD5, Origins: o.Origins, WebhookURL: o.WebhookURL,
	}}
	for _, name := range slices.Sorted(maps.Keys(p.Categories)) {
		w.Categories = append(w.Categories, OfCategory(p.Categories[name]))
	}
	return w
}

// OfCategory writes a category.
func OfCategory(c hub.Category) Category {
	return Category{Name: c.Name, CategoryOptions: CategoryOptions{
		Bidirectional: c.Bidirectional, PublishToAdmins: c.PublishToAdmins, Private: c.Private, Presence: c.Presence,
		JoinLeave: c.JoinLeave, CleanHTML: c.CleanHTML, AllowedDomains: c.AllowedDomains, Hooks: c.Hooks,
		Shards: c.Shards, MaxMessageBytes: c.MaxMessageBytes,
	}}
}

// Hub reads the options of a project. They are as valid as what was written.
func (o ProjectOptions) Hub() hub.ProjectOptions {
	return hub.ProjectOptions{
		ValidateURL: o.ValidateURL, AuthAttempts: o.AuthAttempts,
		BackOffInterval: milliseconds(o.BackOffInterval), BackOffMaxTimeout: milliseconds(o.BackOffMaxTimeout),
		AllowMD5: o.AllowMD5, Origins: o.Origins, WebhookURL: o.WebhookURL,
	}
}

// milliseconds keeps what is out of any range out of range, where a product would
// wrap around.
func milliseconds(n int) time.Duration {
	return time.Duration(max(min(n, 1_000_000), -1)) * time.Millisecond
}

// Hub reads the options of a category. They are as valid as what was written.
func (o CategoryOptions) Hub() hub.CategoryOptions {
	return hub.CategoryOptions{
		Bidirectional: o.Bidirectional, PublishToAdmins: o.PublishToAdmins, Private: o.Private, Presence: o.Presence,
		JoinLeave: o.JoinLeave, CleanHTML: o.CleanHTML, AllowedDomains: o.AllowedDomains, Hooks: o.Hooks,
		Shards: o.Shards, MaxMessageBytes: o.MaxMessageBytes,
	}
}

// Decode reads JSON into v, which is of this package or holds what is. It fails with
// hub.ErrBadRequest, saying where, on what is not JSON, on a value of another type,
// on a key that is not known, and on anything that follows.
func Decode(document []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return hub.ErrBadRequest.With("there is more than one JSON value")
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		// Go puts the names of its structs before that of the key.
		key := wrong.Field[strings.LastIndex(wrong.Field, ".")+1:]
		return hub.ErrBadRequest.With(fmt.Sprintf("%s is not %s", cmp.Or(key, "the value"), kindOf(wrong.Type.Kind().String())))
	case errors.As(err, new(*json.SyntaxError)), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return hub.ErrBadRequest.With("not JSON")
	}
	// Only an unknown key is left, which has no error type of its own.
	return hub.ErrBadRequest.With(err.Error()[len("json: "):])
}

// kindOf says a kind of Go's in the words of JSON.
func kindOf(kind string) string {
	switch kind {
	case "bool":
		return "a boolean"
	case "slice":
		return "a list"
	case "struct":
		return "an object"
	case "int":
		return "a whole number"
	}
	return "a " + kind
}
