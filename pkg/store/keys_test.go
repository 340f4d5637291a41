package store

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"centrifuge/pkg/hub"
)

// TestKeysAreMadeInOneFile checks that only keys.go refers to what makes and parses the
// parts of keys, and that no other file holds a separator in a string.
func TestKeysAreMadeInOneFile(t *testing.T) {
	const home = "keys.go"
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	parsed := make(map[string]*ast.File)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if parsed[file], err = parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	private := map[string]bool{"separator": false, "escape": false, "unescape": false, "join": false, "split": false}
	ast.Inspect(parsed[home], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if _, ok := private[n.Name.Name]; ok {
				private[n.Name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				if _, ok := private[name.Name]; ok || strings.HasSuffix(name.Name, "Prefix") {
					private[name.Name] = true
				}
			}
		}
		return true
	})
	for name, declared := range private {
		if !declared {
			t.Errorf("%s does not declare %s: the test needs its new name", home, name)
		}
	}
	delete(parsed, home)
	for file, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if private[n.Name] {
					t.Errorf("%s refers to %s", file, n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && strings.Contains(n.Value, separator) {
					t.Errorf("%s holds the separator: %s", file, n.Value)
				}
			}
			return true
		})
	}
}

// separators generates names from parts of separators and escapes.
func separators() *rapid.Generator[string] {
	part := rapid.SampledFrom([]string{"#", "%", "h", "p", "x", "2", "3", `\`, "\x00", "-", ":", "é", "\u2028", "\ufffd", "\xff", "\xc3", "%h", "%p", "%x23", "0", "S#", "𝄞"})
	return rapid.Map(rapid.SliceOfN(part, 0, 6), func(parts []string) string { return strings.Join(parts, "") })
}

// categories generates names of categories, and of that of the feed.
func categories() *rapid.Generator[string] {
	return rapid.Map(rapid.OneOf(separators(), rapid.String(), rapid.Just(":admin")), func(name string) string {
		if name == hub.Feed("").Category {
			return name
		}
		return strings.ReplaceAll(name, incarnationMark, "")
	})
}

// incarnations generates those of categories, "" among them.
func incarnations() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"00000000", "89abcdef"}), rapid.StringMatching("[0-9a-f]{8}"))
}

// located generates channels in present and earlier incarnations of their categories. The
// feed, the one category with a mark, has none.
func located() *rapid.Generator[hub.Channel] {
	return rapid.Custom(func(t *rapid.T) hub.Channel {
		name := rapid.OneOf(separators(), rapid.String())
		ch := hub.Channel{Project: name.Draw(t, "project"), Category: categories().Draw(t, "category"), Name: name.Draw(t, "name")}
		if ch.Category != hub.Feed("").Category {
			ch.Incarnation = incarnations().Draw(t, "incarnation")
		}
		return ch
	})
}

func TestKeyInjectivity(t *testing.T) {
	place := rapid.Custom(func(t *rapid.T) [4]string {
		name := rapid.OneOf(separators(), rapid.String())
		return [4]string{name.Draw(t, "a"), name.Draw(t, "b"), name.Draw(t, "c"), name.Draw(t, "d")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := place.Draw(t, "one"), place.Draw(t, "other")
		if rapid.Bool().Draw(t, "shifted") {
			// The most likely collision: the same text, split at another place.
			all := strings.Join(a[:], "#")
			cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
			b = [4]string{all[:cut], all[cut:], "", ""}
		}
		// A category has no mark.
		a[1], b[1] = strings.ReplaceAll(a[1], incarnationMark, ""), strings.ReplaceAll(b[1], incarnationMark, "")
		x := hub.Channel{Project: a[0], Category: a[1], Name: a[2]}
		y := hub.Channel{Project: b[0], Category: b[1], Name: b[2]}
		x.Incarnation, y.Incarnation = incarnations().Draw(t, "incarnation"), incarnations().Draw(t, "other incarnation")
		shard, other := rapid.IntRange(0, 63).Draw(t, "shard"), rapid.IntRange(0, 63).Draw(t, "other shard")
		for kind, keys := range map[string]struct {
			one, two string
			same     bool
		}{
			"subscription": {subscriptionKey(x, shard), subscriptionKey(y, other), x == y && shard == other},
			"member":       {member(x, shard), member(y, other), x.Category == y.Category && x.Incarnation == y.Incarnation && x.Name == y.Name && shard == other},
			"claim":        {claimKey(x, a[3]), claimKey(y, b[3]), x == y && a[3] == b[3]},
			"stream":       {streamKey(x), streamKey(y), x == y},
			"occupancy":    {occupancyKey(x), occupancyKey(y), x == y},
			"user":         {userKey(a[0], a[1]), userKey(b[0], b[1]), a[0] == b[0] && a[1] == b[1]},
			"breaker":      {breakerKey(a[0], a[1]), breakerKey(b[0], b[1]), a[0] == b[0] && a[1] == b[1]},
			"project":      {projectKey(a[0]), projectKey(b[0]), a[0] == b[0]},
			"category":     {categorySort(a[0]), categorySort(b[0]), a[0] == b[0]},
			"connection":   {connectionKey(a[0]), connectionKey(b[0]), a[0] == b[0]},
		} {
			if (keys.one == keys.two) != keys.same {
				t.Fatalf("%s keys %q and %q", kind, keys.one, keys.two)
			}
			if !utf8.ValidString(keys.one) {
				t.Fatalf("%s key %q is not UTF-8", kind, keys.one)
			}
		}
		if has := strings.HasPrefix(subscriptionKey(y, other), subscriptionKeys(x.Project)); has != (x.Project == y.Project) {
			t.Fatalf("%q among the subscriptions of %q: %v", subscriptionKey(y, other), x.Project, has)
		}
	})
}

func TestKeyParsers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ch := located().Draw(t, "channel")
		shard := rapid.IntRange(0, 63).Draw(t, "shard")
		if got, n, err := parseSubscriptionKey(subscriptionKey(ch, shard)); got != ch || n != shard || err != nil {
			t.Fatalf("subscription: %+v, %d, %v", got, n, err)
		}
		at := hub.Position{Epoch: hub.NewID(time.Now()), Offset: rapid.Uint64().Draw(t, "offset")}
		if got, err := parsePublicationSort(publicationSort(at)); got != at || err != nil {
			t.Fatalf("publication: %+v, %v", got, err)
		}
		if next := (hub.Position{Epoch: at.Epoch, Offset: at.Offset + 1}); next.Offset > 0 && publicationSort(at) >= publicationSort(next) {
			t.Fatalf("%q is not before %q", publicationSort(at), publicationSort(next))
		}
		if sort := publicationSort(at); sort >= headSort {
			t.Fatalf("%q is not before the head", sort)
		}
		if got, n, err := parseMember(ch.Project, member(ch, shard)); got != ch || n != shard || err != nil {
			t.Fatalf("member: %+v, %d, %v", got, n, err)
		}
		if project, user, err := parseUserKey(userKey(ch.Project, ch.Name)); project != ch.Project || user != ch.Name || err != nil {
			t.Fatalf("user: %q, %q, %v", project, user, err)
		}
		if got, err := parseCategorySort(categorySort(ch.Category)); got != ch.Category || err != nil {
			t.Fatalf("category: %q, %v", got, err)
		}
		if got, err := parseConnectionKey(connectionKey(ch.Name)); got != ch.Name || err != nil {
			t.Fatalf("connection: %q, %v", got, err)
		}
	})
}

func TestKeyCollisions(t *testing.T) {
	seen := make(map[string]string)
	for _, c := range [][3]string{
		{"a", "b", "c"}, {"a#b", "c", ""}, {"a", "b#c", ""}, {"a", "b", "c#0"}, {"a#b#c", "", ""}, {"", "a", "b#c"}, {"", "", "a#b#c"},
		{"a", "b%hc", ""}, {"a", "b%phc", ""}, {"a", "b%", "hc"}, {"a", "b%23c", ""}, {"a", "b", "%"}, {"a", "b", "%%"}, {"a", "b", "%p"}, {"a", "b", "%h"},
		{"a", "b", `\#`}, {"a", "b", `\`}, {"a", `b\`, "#"}, {"a", "b", "\x00"}, {"a", "b\x00", ""}, {"a\x00", "b", ""},
		{"a", "b", "\xff"}, {"a", "b", "\ufffd"}, {"a", "b", "%xff"}, {"a", "b", "é"}, {"a", "b", "e\u0301"}, {"a", "b", "\xc3"},
		{"S#a", "b", "c"}, {"a", "b", "-"}, {"a", "b", ""},
	} {
		ch := hub.Channel{Project: c[0], Category: c[1], Name: c[2]}
		for shard := range 2 {
			for kind, k := range map[string]string{
				"subscription": subscriptionKey(ch, shard), "claim": claimKey(ch, strconv.Itoa(shard)), "stream": streamKey(ch), "occupancy": occupancyKey(ch),
			} {
				if (kind == "stream" || kind == "occupancy") && shard > 0 {
					continue
				}
				if other, taken := seen[k]; taken {
					t.Errorf("%s of %q and %s share the key %q", kind, c, other, k)
				}
				seen[k] = fmt.Sprintf("%s of %q", kind, c)
			}
		}
	}
}

// TestIncarnationInKeys checks the keys of a channel with and without an incarnation: the
// latter are those of versions before incarnations, which read as many parts of the others.
func TestIncarnationInKeys(t *testing.T) {
	old := hub.Channel{Project: "p#", Category: "a%", Name: "n"}
	now := old
	now.Incarnation = "89abcdef"
	for _, c := range []struct{ got, want string }{
		{subscriptionKey(old, 3), "S#p%h#a%p#n#3"},
		{subscriptionKey(now, 3), "S#p%h#a%p:89abcdef#n#3"},
		{member(old, 3), "a%p#n#3"},
		{member(now, 3), "a%p:89abcdef#n#3"},
		{claimKey(old, "k"), "I#p%h#a%p#n#k"},
		{claimKey(now, "k"), "I#p%h#a%p:89abcdef#n#k"},
		{streamKey(old), "H#p%h#a%p#n"},
		{streamKey(now), "H#p%h#a%p:89abcdef#n"},
		{occupancyKey(now), "O#p%h#a%p:89abcdef#n"},
		{publicationSort(hub.Position{Epoch: "6921d2fb89abcdef01234567", Offset: 42}), "6921d2fb89abcdef01234567#00000000000000000042"},
		{member(hub.Feed("p"), 0), ":admin#feed#0"},
		{member(hub.Channel{Incarnation: "89abcdef", Name: "n"}, 0), ":89abcdef#n#0"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestKeyLengthLimit(t *testing.T) {
	const sortLimit = 1024
	for _, worst := range []string{"#", "%"} {
		name := strings.Repeat(worst, hub.MaxNameBytes)
		// "category:name" is itself a name, with its limit.
		ch := hub.Channel{Project: name, Category: name[:100], Incarnation: newIncarnation(), Name: name[:hub.MaxNameBytes-101]}
		if err := ch.Validate(); err != nil {
			t.Fatal(err)
		}
		for kind, k := range map[string]struct {
			key   string
			limit int
		}{
			"subscription": {subscriptionKey(ch, hub.MaxShards-1), maxPartitionKey},
			"claim":        {claimKey(ch, name), maxPartitionKey},
			"stream":       {streamKey(ch), maxPartitionKey},
			"occupancy":    {occupancyKey(ch), maxPartitionKey},
			"publication":  {publicationSort(hub.Position{Epoch: hub.NewID(time.Now()), Offset: math.MaxUint64}), sortLimit},
			"user":         {userKey(name, name), maxPartitionKey},
			"breaker":      {breakerKey(name, strings.Repeat("x", 1<<16)), maxPartitionKey},
			"project":      {projectKey(name), maxPartitionKey},
			"category":     {categorySort(name), sortLimit},
		} {
			if len(k.key) > k.limit {
				t.Errorf("%s key: %d bytes, the limit is %d", kind, len(k.key), k.limit)
			}
		}
	}
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a", "%h", "%p", "%xff", "%", "%x", "%xzz", "%xf", "a#b", "%%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := unescape(escape(s)); got != s || err != nil {
			t.Errorf("%q became %q, %v", s, got, err)
		}
		_, _ = unescape(s) // does not panic
	})
}

func FuzzParsePublicationSort(f *testing.F) {
	for _, s := range []string{
		"", headSort, singletonSort, "e#1", "e#00000000000000000001", "#00000000000000000000", "e#18446744073709551615", "e#18446744073709551616",
		"e#+0000000000000000001", "e#0000000000000000000_", "%h#00000000000000000001", "a#b#00000000000000000001",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePublicationSort(s)
		if again, wrong := parsePublicationSort(publicationSort(p)); err == nil && (again != p || wrong != nil) {
			t.Errorf("%q is read as %+v, which is read as %+v: %v", s, p, again, wrong)
		}
	})
}
