package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// optionSets are the structs of options with their references.
var optionSets = []struct {
	name      string
	options   reflect.Type
	reference []Option
}{
	{"project", reflect.TypeFor[ProjectOptions](), ProjectReference},
	{"category", reflect.TypeFor[CategoryOptions](), CategoryReference},
}

// TestOptionReference holds the references to the fields: each option is one field
// and one line.
func TestOptionReference(t *testing.T) {
	kinds := map[Kind]reflect.Type{
		BoolOption: reflect.TypeFor[bool](), NumberOption: reflect.TypeFor[int](), DurationOption: reflect.TypeFor[Duration](),
		URLOption: reflect.TypeFor[string](), OriginsOption: reflect.TypeFor[[]string](), DomainsOption: reflect.TypeFor[[]string](),
		TextOption: reflect.TypeFor[string](), RSAKeyOption: reflect.TypeFor[string](), ECDSAKeyOption: reflect.TypeFor[string](),
		ChoiceOption: reflect.TypeFor[RecoveryMode](), PatternOption: reflect.TypeFor[string](),
	}
	for _, set := range optionSets {
		types := make(map[string]reflect.Type)
		for i := range set.options.NumField() {
			field := set.options.Field(i)
			name, omit, _ := strings.Cut(field.Tag.Get("json"), ",")
			if types[name] = field.Type; name == "" || omit != "omitempty" {
				t.Errorf("%s option %s: the tag must be `json:\"name,omitempty\"`", set.name, field.Name)
			}
			if !slices.ContainsFunc(set.reference, func(o Option) bool { return o.Name == name }) {
				t.Errorf("%s option %s has no reference", set.name, name)
			}
		}
		var groups []string
		for i, o := range set.reference {
			switch {
			case types[o.Name] == nil:
				t.Errorf("%s option %s has no field, or a second reference", set.name, o.Name)
			case types[o.Name] != kinds[o.Kind]:
				t.Errorf("%s option %s: a field of type %v cannot be of kind %q", set.name, o.Name, types[o.Name], o.Kind)
			}
			delete(types, o.Name)
			if o.Title == "" || o.Default == "" || !strings.HasSuffix(o.Help, ".") {
				t.Errorf("%s option %s lacks a title, a default or a sentence of help", set.name, o.Name)
			}
			if limited := o.Kind == NumberOption || o.Kind == DurationOption || o.Kind == PatternOption || o.Kind.List(); limited != (o.Max > o.Min) {
				t.Errorf("%s option %s has the limits %d and %d", set.name, o.Name, o.Min, o.Max)
			}
			if i == 0 || o.Group != set.reference[i-1].Group {
				if o.Group == "" || slices.Contains(groups, o.Group) {
					t.Errorf("%s option %s: the group %q is empty, or interrupted", set.name, o.Name, o.Group)
				}
				groups = append(groups, o.Group)
			}
		}
	}
}

// TestOptionLimits sets every option to values at its limits and beyond.
func TestOptionLimits(t *testing.T) {
	quoted := func(n int, value string) string {
		return "[" + strings.Join(slices.Repeat([]string{strconv.Quote(value)}, n), ",") + "]"
	}
	quote := func(text string) string {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, set := range optionSets {
		for _, o := range set.reference {
			var valid, invalid []string
			switch o.Kind {
			case BoolOption:
				valid = []string{"true", "false"}
			case NumberOption, DurationOption:
				valid = []string{"0", strconv.Itoa(o.Min), strconv.Itoa(o.Max)}
				invalid = []string{"-1", strconv.Itoa(o.Max + 1)}
			case ChoiceOption:
				invalid = []string{`"none"`, `"Stream"`, `" "`}
				for _, choice := range append(o.Choices, "") {
					valid = append(valid, strconv.Quote(choice))
				}
			case PatternOption:
				valid = []string{`""`, `"^[a-z]+(#[0-9]+)?$"`, strconv.Quote(strings.Repeat("a", o.Max))}
				invalid = []string{`"("`, `"(?=a)"`, `"a{1001}"`, strconv.Quote(strings.Repeat("a", o.Max+1))}
			case URLOption:
				valid = []string{`""`, `"https://example.com/path?query"`, `"http://127.0.0.1:8080"`}
				invalid = []string{`"example.com"`, `"https://user:password@example.com"`, `"file://host/etc/passwd"`, `"https://"`, `"%"`}
			case TextOption:
				valid = []string{`""`, `"https://example.com/"`, quote(strings.Repeat("a", MaxNameBytes))}
				invalid = []string{quote(strings.Repeat("a", MaxNameBytes+1))}
			case RSAKeyOption:
				valid = []string{`""`, quote(rsaKey)}
				invalid = []string{`"x"`, quote(ecdsaKey)}
			case ECDSAKeyOption:
				valid = []string{`""`, quote(ecdsaKey)}
				invalid = []string{`"x"`, quote(rsaKey)}
			case OriginsOption:
				valid = []string{"[]", `["http://localhost:3000"]`, quoted(o.Max, "https://example.com")}
				invalid = []string{`["https://example.com/x"]`, `["example.com"]`, `["https://example.com",""]`, quoted(o.Max+1, "https://example.com")}
			case DomainsOption:
				valid = []string{"[]", `["localhost"]`, quoted(o.Max, "a-1.example.com")}
				invalid = []string{`["https://example.com"]`, `["Example.com"]`, `["a..example"]`, quoted(1, strings.Repeat("a.", MaxNameBytes)+"a"), quoted(o.Max+1, "a.example")}
			}
			required := ""
			for _, other := range o.RequiredBy(set.reference) {
				if other.Name == o.Name {
					valid = valid[1:] // 0 is not what the other one requires
				} else {
					required += fmt.Sprintf(`,%q:%d`, other.Name, other.Min)
				}
			}
			check := func(value string) error {
				options := reflect.New(set.options)
				if err := json.Unmarshal(fmt.Appendf(nil, `{%q:%s%s}`, o.Name, value, required), options.Interface()); err != nil {
					t.Fatal(err)
				}
				return options.Interface().(interface{ Validate() error }).Validate()
			}
			for _, value := range valid {
				if err := check(value); err != nil {
					t.Errorf("%s option %s = %s: %v", set.name, o.Name, value, err)
				}
			}
			for _, value := range invalid {
				var refused *Error
				if err := check(value); !errors.As(err, &refused) || !strings.HasPrefix(refused.Detail, o.Name+" ") {
					t.Errorf("%s option %s = %.100s: error %v, expected one that names the option", set.name, o.Name, value, err)
				}
			}
		}
	}
}

func TestRequiredOptions(t *testing.T) {
	for _, test := range []struct {
		options CategoryOptions
		want    string // "" for no error
	}{
		{CategoryOptions{HistorySize: 1, HistoryTTL: Duration(time.Second)}, ""},
		{CategoryOptions{HistorySize: 1}, "bad request: history_size requires history_ttl"},
		{CategoryOptions{ForceRecovery: true}, "bad request: force_recovery requires history_size"},
		{CategoryOptions{ForceRecovery: true, HistorySize: 1, HistoryTTL: Duration(time.Second)}, ""},
		{CategoryOptions{HistoryTTL: Duration(time.Second)}, "bad request: history_ttl requires history_size"},
		{CategoryOptions{HistoryMetaTTL: Duration(24 * time.Hour), Ordered: true, Linger: Duration(50 * time.Millisecond)}, ""},
		{CategoryOptions{Linger: Duration(1001 * time.Millisecond)}, "bad request: linger_ms is not from 1 to 1000 ms"},
		{CategoryOptions{HistoryMetaTTL: Duration(time.Hour)}, "bad request: history_meta_ttl is not from 21600000 to 31536000000 ms"},
	} {
		got := ""
		if err := test.options.Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: error %q, want %q", test.options, got, test.want)
		}
	}
}

func TestOptionDefaults(t *testing.T) {
	for name, want := range map[string]int{
		"shards": CategoryOptions{}.ShardCount(), "max_message_bytes": CategoryOptions{}.MessageBytes(),
		"history_meta_ttl": int(CategoryOptions{}.Retention().MetaTTL.Milliseconds()),
	} {
		i := slices.IndexFunc(CategoryReference, func(o Option) bool { return o.Name == name })
		if got := CategoryReference[i].Default; got != strconv.Itoa(want) {
			t.Errorf("the reference says that %s is %s by default, but it is %d", name, got, want)
		}
	}
}
