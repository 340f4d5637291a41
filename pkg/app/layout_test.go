package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// listed is the output of go list for a package.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports         []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// under reports whether path is pkg or below it. A pkg that ends in a slash means only
// the packages below it.
func under(path, pkg string) bool {
	return path == pkg || strings.HasPrefix(path, strings.TrimSuffix(pkg, "/")+"/")
}

// TestImportDirection checks the imports of every package.
func TestImportDirection(t *testing.T) {
	const m, p = "centrifuge", "centrifuge/pkg/"
	const sdk, events = "github.com/aws/aws-sdk-go-v2", "github.com/aws/aws-lambda-go/events"
	// may lists the packages of this module that the packages below a path may import,
	// with the packages below them. The longest path that matches a package applies.
	may := map[string][]string{
		p + "hub":                  {},
		p + "config":               {},
		p + "protocol":             {p + "hub"},
		p + "gateway":              {p + "hub", p + "protocol"},
		p + "store":                {p + "hub", p + "store/schema"},
		p + "store/schema":         {},
		p + "store/storetest":      {p + "store", p + "hub", p + "config", m + "/localstack/dynamodb"},
		p + "metrics":              {p + "hub"},
		p + "signed":               {p + "signed/signedtest"},
		p + "signed/signedtest":    {},
		p + "delivery":             {p + "hub", p + "protocol", p + "delivery", p + "signed"},
		p + "auth":                 {p + "hub"},
		p + "callback":             {p + "hub"},
		p + "eventbus":             {p + "hub", p + "signed"},
		p + "sanitizer":            {p + "hub"},
		p + "manifest":             {p + "hub"},
		p + "serverapi":            {p + "hub", p + "auth", p + "protocol/classic"},
		p + "admin":                {p + "hub", p + "auth", p + "manifest"},
		p + "app":                  {p + "hub", p + "auth", p + "callback", p + "config", p + "delivery", p + "eventbus", p + "metrics", p + "protocol", p + "serverapi", p + "store"},
		p + "app/publisher":        {p + "app", p + "config", p + "delivery", p + "hub", p + "sanitizer", p + "serverapi"},
		p + "app/console":          {p + "app", p + "admin", p + "hub", p + "serverapi"},
		p + "cent":                 {p + "hub", p + "manifest"},
		p + "cent/cmd":             {p + "hub", p + "auth", p + "cent", p + "manifest"},
		m + "/infra":               {m + "/infra", m + "/functions", p + "config", p + "metrics", p + "store/schema"},
		m + "/functions":           {p + "config", p + "store/schema"}, // the list; its folders have the main packages
		m + "/functions/":          {p + "app", p + "gateway", m + "/functions/demo/chat"},
		m + "/functions/demo/chat": {},
		m + "/localstack":          {m},
		m + "/localstack/gateway":  {},
		m + "/localstack/iam":      {m + "/functions", p + "store/schema"},
		m + "/localstack/lambda":   {m + "/localstack/gateway", m + "/localstack/process"},
		m + "/localstack/process":  {},
		m + "/localstack/npm":      {m + "/localstack/process"},
		m + "/localstack/bundle":   {m + "/localstack/bundle", m + "/localstack/npm"},
		m + "/localstack/dynamodb": {m + "/localstack/dynamodb", m + "/localstack/process", m + "/localstack/npm", p + "config"},
	}
	// only lists the packages that may import a package, for packages with restricted use.
	only := map[string][]string{
		sdk:                         {p + "store", p + "delivery", p + "eventbus", p + "signed", p + "app", m + "/localstack"},
		events:                      {p + "gateway", m + "/localstack"},
		p + "gateway":               {m + "/functions", m + "/localstack"},
		"github.com/aws/aws-cdk-go": {m + "/infra"},
		// The SDK of clients is in cent, and in no function.
		"github.com/centrifugal": {p + "cent/cmd", m + "/localstack"},
	}
	for _, pkg := range packages(t) {
		rule := ""
		for path := range may {
			if under(pkg.ImportPath, path) && len(path) > len(rule) {
				rule = path
			}
		}
		if rule == "" {
			t.Errorf("%s has no rule on what it may import", pkg.ImportPath)
		}
		for _, imported := range pkg.Imports {
			if under(imported, m) && !slices.ContainsFunc(may[rule], func(path string) bool { return under(imported, path) }) {
				t.Errorf("%s imports %s", pkg.ImportPath, imported)
			}
			for path, importers := range only {
				if under(imported, path) && !slices.ContainsFunc(importers, func(importer string) bool { return under(pkg.ImportPath, importer) }) {
					t.Errorf("%s imports %s", pkg.ImportPath, imported)
				}
			}
		}
	}
}

// TestPackageComments checks that every package has exactly one comment.
func TestPackageComments(t *testing.T) {
	for _, pkg := range packages(t) {
		comments := 0
		for _, file := range pkg.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				comments++
			}
		}
		if comments != 1 && len(pkg.GoFiles) > 0 {
			t.Errorf("%s has %d package comments", pkg.ImportPath, comments)
		}
	}
}

// TestNoTestSkips checks that no test skips: a test that lacks something installs it, or
// fails and says what to install.
func TestNoTestSkips(t *testing.T) {
	out, err := exec.Command("git", "-C", root, "ls-files", "--", "*_test.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	skip := regexp.MustCompile(`[.]Skip(f|Now)?[(]`)
	for _, path := range strings.Fields(string(out)) {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if found := skip.Find(b); found != nil {
			t.Errorf("%s calls %s)", path, found)
		}
	}
}

// TestFunctionMains checks that the folder of a function has one short main.go.
func TestFunctionMains(t *testing.T) {
	mains, err := filepath.Glob(root + "/functions/*/*.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no mains: %v", err)
	}
	for _, main := range mains {
		b, err := os.ReadFile(main)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(main) != "main.go" {
			t.Errorf("%s: a function's folder holds main.go only", main)
		}
		if lines := bytes.Count(b, []byte("\n")); lines > 25 {
			t.Errorf("%s has %d lines, at most 25 are allowed", main, lines)
		}
	}
}

func TestTopLevel(t *testing.T) {
	out, err := exec.Command("git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields("functions infra pkg events localstack go.mod go.sum cdk.json Makefile README.md LICENSE")
	for _, path := range strings.Fields(string(out)) {
		top, _, _ := strings.Cut(path, "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(allowed, top) {
			t.Errorf("%s is not in the list of names allowed at the top level", top)
		}
	}
}
