package hub

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNormalizeOrigin(t *testing.T) {
	const bad = "bad request: origins "
	for _, tt := range []struct{ origin, want string }{
		{"https://example.com", "https://example.com"},
		{"https://example.com/", "https://example.com"},
		{"https://Example.COM", "https://example.com"},
		{"HTTPS://example.com", "https://example.com"},
		{"https://example.com:443", "https://example.com"},
		{"http://example.com:80/", "http://example.com"},
		{"https://example.com:80", "https://example.com:80"},
		{"https://example.com:08443", "https://example.com:8443"},
		{"https://example.com:", "https://example.com"},
		{"https://bücher.example", "https://xn--bcher-kva.example"},
		{"https://BÜCHER.example", "https://xn--bcher-kva.example"},
		{"https://faß.example", "https://xn--fa-hia.example"},
		{"https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"},
		{"https://例え。テスト", "https://xn--r8jz45g.xn--zckzah"},
		{"https://ｅｘａｍｐｌｅ.com", "https://example.com"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"https://my_app.example.com", "https://my_app.example.com"},
		{"https://a--b.example.com", "https://a--b.example.com"},
		{"https://example.com.", "https://example.com."},
		{"http://localhost:3000", "http://localhost:3000"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"http://[::1]:8080", "http://[::1]:8080"},
		{"http://[2001:DB8:0:0:0:0:0:1]", "http://[2001:db8::1]"},
		{"http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]"},
		{"https://*.example.com", "https://*.example.com"},
		{"https://*.Bücher.example:8443/", "https://*.xn--bcher-kva.example:8443"},
		{"capacitor://localhost", "capacitor://localhost"},
		{"Ionic://localhost", "ionic://localhost"},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"},
		{"app://.", "app://."},
		{"app://./", "app://."},
		{"file://", "file://"},
		{"file:///", "file://"},

		{"https://example.com?x=1", bad + "must have https://example.com instead: an origin has no path, query or fragment"},
		{"https://example.com#top", bad + "must have https://example.com instead: an origin has no path, query or fragment"},
		{"https://example.com/app", bad + "must have https://example.com instead: an origin has no path, query or fragment"},
		{`https://example.com\app`, bad + "must have https://example.com instead: an origin has no path, query or fragment"},
		{"https://user:password@Example.com", bad + "must have https://example.com instead: an origin has no user"},
		{" https://example.com", bad + "must have https://example.com instead: an origin has no spaces"},
		{"example.com", bad + "must have https://example.com instead: an origin begins with its scheme"},
		{"wss://example.com:443/", bad + "must have https://example.com instead: an origin has the scheme of the page"},
		{"ws://localhost:8080", bad + "must have http://localhost:8080 instead: an origin has the scheme of the page"},
		{"file:///home/ann/index.html", bad + "must have file:// instead: a page in a file has no path in its origin"},
		{"", bad + `has "", which is no origin: leave origins empty to let every page connect`},
		{"*", bad + `has "*", which is no origin: leave origins empty to let every page connect`},
		{"null", bad + `has "null", which is what frames in a sandbox send, of every site: leave origins empty to let every page connect`},
		{"https://*", bad + `has "https://*", which has a wildcard for every host: leave origins empty to let every page connect`},
		{"https://*example.com", bad + `has "https://*example.com", which has a wildcard that is not the first label, as in https://*.example.com`},
		{"https://app.*.example.com", bad + `has "https://app.*.example.com", which has a wildcard that is not the first label, as in https://*.example.com`},
		{"https://*.*.example.com", bad + `has "https://*.*.example.com", which has a wildcard that is not the first label, as in https://*.example.com`},
		{"capacitor://*.localhost", bad + `has "capacitor://*.localhost", which has a wildcard with a scheme that is not http or https`},
		{"https://*.127.0.0.1", bad + `has "https://*.127.0.0.1", which has a host that is neither a domain name nor an IPv4 address of four numbers`},
		{"http://127.1", bad + `has "http://127.1", which has a host that is neither a domain name nor an IPv4 address of four numbers`},
		{"http://0x7f000001", bad + `has "http://0x7f000001", which has a host that is neither a domain name nor an IPv4 address of four numbers`},
		{"http://[::1", bad + `has "http://[::1", which has a host that is no IPv6 address`},
		{"http://[fe80::1%25eth0]", bad + `has "http://[fe80::1%25eth0]", which has a host that is no IPv6 address`},
		{"https://", bad + `has "https://", which has a host that is no domain name`},
		{"https://.", bad + `has "https://.", which has a host that is no domain name`},
		{"app://..", bad + `has "app://..", which has a host that is no domain name`},
		{"https://*.", bad + `has "https://*.", which has a host that is no domain name`},
		{"https://a..example", bad + `has "https://a..example", which has a host that is no domain name`},
		{"https://exa mple.com", bad + `has "https://exa mple.com", which has a host that is no domain name`},
		{"https://example%2ecom", bad + `has "https://example%2ecom", which has a host that is no domain name`},
		{"https://xn--a.example", bad + `has "https://xn--a.example", which has a host that is no domain name`},
		{"https://" + strings.Repeat("x", 64) + ".example", bad + `has "https://` + strings.Repeat("x", 64) + `.example", which has a host that is no domain name`},
		{"https://example.com:0", bad + `has "https://example.com:0", which has a port that is none`},
		{"https://example.com:65536", bad + `has "https://example.com:65536", which has a port that is none`},
		{"https://example.com:http", bad + `has "https://example.com:http", which has a port that is none`},
		{"1https://example.com", bad + `has "1https://example.com", which has a scheme that is none`},
		{"//example.com", bad + `has "//example.com", which is not written https://host or https://host:port`},
		{"mailto:ann@example.com", bad + `has "mailto:ann@example.com", which is not written https://host or https://host:port`},
	} {
		t.Run(tt.origin, func(t *testing.T) {
			got, err := normalizeOrigin(tt.origin)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// FuzzNormalizeOrigin checks that what is saved is saved again unchanged, and allows itself.
func FuzzNormalizeOrigin(f *testing.F) {
	for _, seed := range []string{"https://Bücher.example:443/", "http://[::ffff:1.2.3.4]:80", "https://*.example.com", "file:///", "capacitor://localhost", "http://0x7f.1", "null", "http://\xb9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		origin, err := normalizeOrigin(s)
		if err != nil {
			return
		}
		if again, err := normalizeOrigin(origin); err != nil || again != origin {
			t.Fatalf("%q becomes %q, and this becomes %q, error %v", s, origin, again, err)
		}
		o := ProjectOptions{Origins: []string{origin}}
		if !o.AllowsOrigin(strings.Replace(origin, wildcard, "://a.b.", 1)) {
			t.Fatalf("%q becomes %q, which allows nothing", s, origin)
		}
	})
}

func TestNormalizeOptions(t *testing.T) {
	got, err := ProjectOptions{ValidateURL: "https://a.example", Origins: []string{"https://B.example/", "https://b.example:443", "http://b.example"},
		TokenRSAPublicKey: strings.ReplaceAll(rsaKey, "\n", "\r\n") + "\r\n", TokenECDSAPublicKey: ecdsaKey + "\n"}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	want := ProjectOptions{ValidateURL: "https://a.example", Origins: []string{"https://b.example", "http://b.example"},
		TokenRSAPublicKey: rsaKey, TokenECDSAPublicKey: ecdsaKey}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := (ProjectOptions{AuthAttempts: 11}).Normalize(); err == nil {
		t.Error("an option outside its limits is accepted")
	}
}

func TestAllowsOrigin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		origins []string
		origin  string
		want    bool
	}{
		{"any origin where none is listed", nil, "https://anywhere.example", true},
		{"a client that is no browser", []string{"https://example.com"}, "", true},
		{"a listed origin", []string{"https://a.example", "https://example.com"}, "https://example.com", true},
		{"an origin that begins like a listed one", []string{"https://example.com"}, "https://example.com.evil.example", false},
		{"another scheme", []string{"https://example.com"}, "http://example.com", false},
		{"another port", []string{"https://example.com"}, "https://example.com:8443", false},
		{"a frame in a sandbox", []string{"https://example.com"}, "null", false},
		{"a file", []string{"file://"}, "file://", true},
		{"a value that was saved with a path", []string{"https://example.com?x"}, "https://example.com?x", true},
		{"a host below a wildcard", []string{"https://*.example.com"}, "https://app.example.com", true},
		{"a host deep below a wildcard", []string{"https://*.example.com"}, "https://a.b_c.xn--bcher-kva.example.com", true},
		{"the domain of a wildcard", []string{"https://*.example.com"}, "https://example.com", false},
		{"an empty label below a wildcard", []string{"https://*.example.com"}, "https://.example.com", false},
		{"a host that ends like a wildcard", []string{"https://*.example.com"}, "https://badexample.com", false},
		{"another scheme than a wildcard's", []string{"https://*.example.com"}, "http://app.example.com", false},
		{"another port than a wildcard's", []string{"https://*.example.com"}, "https://app.example.com:8443", false},
		{"the port of a wildcard", []string{"https://*.example.com:8443"}, "https://app.example.com:8443", true},
		{"no port where a wildcard has one", []string{"https://*.example.com:8443"}, "https://app.example.com", false},
		{"a path that ends like a wildcard", []string{"https://*.example.com"}, "https://evil.example/.example.com", false},
		{"a user that ends like a wildcard", []string{"https://*.example.com"}, "https://evil.example:443@x.example.com", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (ProjectOptions{Origins: tt.origins}).AllowsOrigin(tt.origin); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
