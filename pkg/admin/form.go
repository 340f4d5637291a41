package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// field is an option in a form: its reference, what was typed, and what is wrong with
// it.
type field struct {
	hub.Option
	Value   string // a number, a text, or a list with one item per line
	Checked bool   // of a BoolOption
	Problem string
	// Fixed fields are read-only, Required ones must not be empty.
	Fixed, Required bool
}

// DescribedBy lists the ids of the elements that describe the field's control.
func (f field) DescribedBy() string {
	ids := f.Name + "-help"
	if f.Problem != "" {
		ids += " " + f.Name + "-problem"
	}
	return ids
}

// fieldGroup is the fields under one heading.
type fieldGroup struct {
	Name   string
	Fields []field
}

// groupFields splits fields by their groups.
func groupFields(fields []field) []fieldGroup {
	var groups []fieldGroup
	for _, f := range fields {
		if len(groups) == 0 || groups[len(groups)-1].Name != f.Group {
			groups = append(groups, fieldGroup{Name: f.Group})
		}
		last := &groups[len(groups)-1]
		last.Fields = append(last.Fields, f)
	}
	return groups
}

// nameField is the field for a name, which is not an option.
func nameField(help, value string, required bool) field {
	return field{Option: hub.Option{Name: "name", Title: "Name", Help: help}, Value: value, Required: required}
}

// optionSet is a struct of options.
type optionSet interface {
	hub.ProjectOptions | hub.CategoryOptions
	Validate() error
}

// fieldsOf returns the fields of a form that shows these options.
func fieldsOf[T optionSet](reference []hub.Option, options T) ([]field, error) {
	b, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("encode options: %w", err)
	}
	var values map[string]any
	if err := json.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("decode options: %w", err)
	}
	fields := make([]field, len(reference))
	for i, o := range reference {
		f := field{Option: o}
		switch v := values[o.Name].(type) {
		case bool:
			f.Checked = v
		case float64:
			f.Value = strconv.FormatFloat(v, 'f', -1, 64)
		case string:
			f.Value = v
		case []any:
			for _, item := range v {
				f.Value += fmt.Sprintln(item)
			}
		}
		fields[i] = f
	}
	return fields, nil
}

// readOptions reads options from a form. Each field is validated alone, or with those that
// it requires, so that its problem is shown at that field. ok is false where any field has a
// problem.
func readOptions[T optionSet](reference []hub.Option, form url.Values) (options T, fields []field, ok bool) {
	ok = true
	document := make(map[string]any)
	for _, o := range reference {
		f := field{Option: o, Value: form.Get(o.Name), Checked: form.Get(o.Name) != ""}
		value, err := f.parse()
		if err == nil && value != nil {
			document[o.Name] = value
			alone := map[string]any{o.Name: value}
			for _, other := range o.RequiredBy(reference) {
				required := field{Option: other, Value: form.Get(other.Name), Checked: form.Get(other.Name) != ""}
				if value, err := required.parse(); err == nil && value != nil {
					alone[other.Name] = value
				}
			}
			var single T
			if err = decodeInto(&single, alone); err == nil {
				err = single.Validate()
			}
			if e := hub.Public(err); err != nil && !strings.HasPrefix(e.Detail, o.Name+" ") {
				err = nil // the problem of a field that this one requires is shown there
			}
		}
		if err != nil {
			f.Problem, ok = f.explain(err), false
		}
		fields = append(fields, f)
	}
	if ok {
		// Each value has been decoded alone, so this succeeds.
		ok = decodeInto(&options, document) == nil
	}
	return options, fields, ok
}

// parse returns the JSON value of the field, nil where it has its default.
func (f field) parse() (any, error) {
	typed := strings.TrimSpace(f.Value)
	switch {
	case f.Kind == hub.BoolOption:
		return f.Checked, nil
	case f.Kind == hub.NumberOption || f.Kind == hub.DurationOption:
		if typed == "" {
			return nil, nil
		}
		n, err := strconv.Atoi(typed)
		if err != nil || n < f.Min || n > f.Max {
			return nil, hub.ErrBadRequest.With(fmt.Sprintf("%s must be a whole number from %d to %d", f.Name, f.Min, f.Max))
		}
		return n, nil
	case f.Kind.List():
		return listOf(f.Value), nil
	default:
		return typed, nil
	}
}

// listOf returns the lines of a text that are not blank, without surrounding space.
func listOf(text string) []string {
	var items []string
	for line := range strings.Lines(text) {
		if item := strings.TrimSpace(line); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// explain says what is wrong with the field. It calls the field by its label.
func (f field) explain(err error) string {
	e := hub.Public(err)
	var known *hub.Error
	if !errors.As(err, &known) || e.Detail == "" {
		return "This is not valid."
	}
	if rest, ok := strings.CutPrefix(e.Detail, f.Name+" "); ok {
		return sentence(f.Title + " " + rest)
	}
	return sentence(e.Detail)
}

// decodeInto decodes options as the JSON API does.
func decodeInto(options any, document map[string]any) error {
	b, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode options: %w", err)
	}
	return manifest.Decode(b, options)
}

// assignProblem puts an error on the field that it names. Where it names none, it
// returns the error as a sentence for the top of the page.
func assignProblem(fields []field, err error) (rest string) {
	e := hub.Public(err)
	for i, f := range fields {
		if strings.HasPrefix(e.Detail, f.Name+" ") || f.Name == "name" && strings.Contains(e.Detail, " name ") {
			fields[i].Problem = f.explain(e)
			return ""
		}
	}
	return sentence(e.Error())
}

// shownRevision is the revision that a form showed when it was opened, so that the
// form does not undo a later change. A form without a revision counts as current.
func shownRevision(r *http.Request, current int) int {
	if shown, err := strconv.Atoi(r.PostForm.Get("revision")); err == nil && shown > 0 {
		return shown
	}
	return current
}
