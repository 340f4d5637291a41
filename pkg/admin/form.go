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

// field is an option in a form: what there is to say of it, what was typed, and
// what is wrong with that.
type field struct {
	manifest.Option
	Value   string // a number, a text, or a list with an item a line
	Checked bool   // of a Bool
	Problem string
	// Fixed fields are shown and cannot be changed.
	Fixed bool
}

// DescribedBy are the ids of what tells more about the field's control.
func (f field) DescribedBy() string {
	ids := f.Name + "-help"
	if f.Problem != "" {
		ids += " " + f.Name + "-problem"
	}
	return ids
}

// nameField is the field for a name, which is not among the options.
func nameField(help, value string) field {
	return field{Option: manifest.Option{Name: "name", Title: "Name", Kind: manifest.Text, Help: help}, Value: value}
}

// fieldsOf are the fields of options as they are.
func fieldsOf[T manifest.ProjectOptions | manifest.CategoryOptions](reference []manifest.Option, options T) ([]field, error) {
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

// readOptions makes options of a form. Each field is looked at by itself, so that what
// check says of options that hold nothing else is said of that field. Where any has
// a problem ok is false.
func readOptions[T manifest.ProjectOptions | manifest.CategoryOptions](reference []manifest.Option, form url.Values, check func(T) error) (options T, fields []field, ok bool) {
	ok = true
	document := make(map[string]any)
	for _, o := range reference {
		f := field{Option: o, Value: form.Get(o.Name), Checked: form.Get(o.Name) != ""}
		value, err := f.parse()
		if err == nil && value != nil {
			document[o.Name] = value
			var one T
			if err = decodeInto(&one, map[string]any{o.Name: value}); err == nil {
				err = check(one)
			}
		}
		if err != nil {
			f.Problem, ok = f.explain(err), false
		}
		fields = append(fields, f)
	}
	if ok {
		// Each part has been decoded, and so will be the whole.
		ok = decodeInto(&options, document) == nil
	}
	return options, fields, ok
}

// parse is the value of the field in JSON, nil where it is left at its default.
func (f field) parse() (any, error) {
	switch f.Kind {
	case manifest.Bool:
		return f.Checked, nil
	case manifest.Number:
		typed := strings.TrimSpace(f.Value)
		if typed == "" {
			return nil, nil
		}
		n, err := strconv.Atoi(typed)
		if err != nil || n < f.Min || n > f.Max {
			return nil, hub.ErrBadRequest.With(fmt.Sprintf("this is a whole number from %d to %d", f.Min, f.Max))
		}
		return n, nil
	case manifest.List:
		var items []string
		for line := range strings.Lines(f.Value) {
			if item := strings.TrimSpace(line); item != "" {
				items = append(items, item)
			}
		}
		return items, nil
	default:
		return strings.TrimSpace(f.Value), nil
	}
}

// explain says what is wrong with the field in its own words.
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

// decodeInto reads options as the JSON API would.
func decodeInto(options any, document map[string]any) error {
	b, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode options: %w", err)
	}
	return manifest.Decode(b, options)
}

// blame puts an error of the table on the field that it names, and returns what no
// field is to blame for.
func blame(fields []field, err error) (rest string) {
	e := hub.Public(err)
	for i, f := range fields {
		if strings.HasPrefix(e.Detail, f.Name+" ") || f.Name == "name" && strings.Contains(e.Detail, " name ") {
			fields[i].Problem = f.explain(e)
			return ""
		}
	}
	return sentence(e.Error())
}

// checkProject says what is wrong with the options of a project.
func checkProject(o manifest.ProjectOptions) error {
	p := hub.Project{ID: "x", Name: "x", Secret: "x", Options: o.Hub()}
	return p.Validate()
}

// checkCategory says what is wrong with the options of a category.
func checkCategory(o manifest.CategoryOptions) error {
	return hub.Category{Name: "x", CategoryOptions: o.Hub()}.Validate()
}

// shownRevision is the revision of what a form showed when it was opened, so that the
// form does not undo what somebody else has saved since; a form that does not say is
// taken for one that shows the present one.
func shownRevision(r *http.Request, present int) int {
	if shown, err := strconv.Atoi(r.PostForm.Get("revision")); err == nil && shown > 0 {
		return shown
	}
	return present
}
