package admin

import (
	"net/url"
	"strings"
	"testing"

	"centrifuge/pkg/manifest"
)

// FuzzForm sends any form: what passes is valid as a whole, and what does not says
// which field is wrong.
func FuzzForm(f *testing.F) {
	for _, form := range []string{
		"", "auth_attempts=3&origins=https://a.example%0ahttps://b.example&allow_md5=on", "back_off_interval=1e3", "origins=%ff",
		"validate_url=https://a.example&shards=2&allowed_domains=a.example&max_message_bytes=+1", "shards=-9223372036854775808", "hooks=&private=false",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, _ := url.ParseQuery(form) // what it could read
		project, fields, ok := readOptions(manifest.ProjectReference, values, checkProject)
		if err := checkProject(project); ok && err != nil {
			t.Fatalf("%q passes: %v", form, err)
		}
		blamed(t, fields, ok)
		category, fields, ok := readOptions(manifest.CategoryReference, values, checkCategory)
		if err := checkCategory(category); ok && err != nil {
			t.Fatalf("%q passes: %v", form, err)
		}
		blamed(t, fields, ok)
	})
}

func blamed(t *testing.T, fields []field, ok bool) {
	t.Helper()
	problems := 0
	for _, f := range fields {
		if f.Problem != "" {
			problems++
		}
	}
	if ok != (problems == 0) {
		t.Fatalf("it passes: %v, with %d problems", ok, problems)
	}
}

// FuzzReturnPath holds the way back after signing in to pages of ours, as a browser
// would resolve it.
func FuzzReturnPath(f *testing.F) {
	for _, wish := range []string{"", "/admin/new", "//evil.example", "/admin/..//evil.example", "/admin/%2e%2e/x", `/admin/\evil`, "/admin/?a=//b#c"} {
		f.Add(wish)
	}
	here := &url.URL{Scheme: "https", Host: "here.example", Path: "/admin/sign-in"}
	f.Fuzz(func(t *testing.T, wish string) {
		got := returnPath(wish)
		to, err := here.Parse(got)
		if err != nil || to.Host != here.Host || to.Scheme != here.Scheme || to.Path != home && !strings.HasPrefix(to.Path, home+"/") {
			t.Fatalf("%q leads to %q: %v", wish, got, err)
		}
		if strings.ContainsAny(got, "\\\r\n\t ") {
			t.Fatalf("%q leads to %q", wish, got)
		}
		if again := returnPath(got); again != got {
			t.Fatalf("%q leads to %q, and that to %q", wish, got, again)
		}
	})
}
