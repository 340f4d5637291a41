package admin

import (
	"net/url"
	"strings"
	"testing"

	"centrifuge/pkg/hub"
)

// FuzzReadOptions reads any form: options that are accepted are valid as a whole, and a
// form that is refused has a problem at a field.
func FuzzReadOptions(f *testing.F) {
	for _, form := range []string{
		"", "auth_attempts=3&origins=https://a.example%0ahttps://b.example&allow_md5=on", "back_off_interval=1e3", "origins=%ff",
		"validate_url=https://a.example&shards=2&allowed_domains=a.example&max_message_bytes=+1", "shards=-9223372036854775808", "hooks=&private=false",
		"history_size=10&history_ttl=60000", "history_size=10", "history_size=10&history_ttl=0", "history_size=0&history_ttl=60000&linger_ms=1001",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, _ := url.ParseQuery(form) // what can be parsed
		project, fields, ok := readOptions[hub.ProjectOptions](hub.ProjectReference, values)
		checkReading(t, project.Validate(), fields, ok)
		category, fields, ok := readOptions[hub.CategoryOptions](hub.CategoryReference, values)
		checkReading(t, category.Validate(), fields, ok)
	})
}

func checkReading(t *testing.T, err error, fields []field, ok bool) {
	t.Helper()
	if ok && err != nil {
		t.Fatalf("invalid options are accepted: %v", err)
	}
	problems := 0
	for _, f := range fields {
		if f.Problem != "" {
			problems++
		}
	}
	if ok != (problems == 0) {
		t.Fatalf("accepted: %v, problems: %d", ok, problems)
	}
}

// FuzzReturnPath resolves the return path as a browser does: it must be a page of this
// site.
func FuzzReturnPath(f *testing.F) {
	for _, requested := range []string{"", "/admin/new", "//evil.example", "/admin/..//evil.example", "/admin/%2e%2e/x", `/admin/\evil`, "/admin/?a=//b#c"} {
		f.Add(requested)
	}
	here := &url.URL{Scheme: "https", Host: "here.example", Path: "/admin/sign-in"}
	f.Fuzz(func(t *testing.T, requested string) {
		got := returnPath(requested)
		to, err := here.Parse(got)
		if err != nil || to.Host != here.Host || to.Scheme != here.Scheme || to.Path != home && !strings.HasPrefix(to.Path, home+"/") {
			t.Fatalf("%q returns to %q: %v", requested, got, err)
		}
		if strings.ContainsAny(got, "\\\r\n\t ") {
			t.Fatalf("%q returns to %q", requested, got)
		}
		if again := returnPath(got); again != got {
			t.Fatalf("%q returns to %q, and that to %q", requested, got, again)
		}
	})
}
