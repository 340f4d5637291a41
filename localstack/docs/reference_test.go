package docs_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/cent"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/eventbus"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/classic"
	"centrifuge/pkg/serverapi"
)

var update = flag.Bool("update", false, "write the generated parts of the documents")

// errorTable is the document with the table of errors.
const errorTable = "pkg/hub/README.md"

// errorHead begins that table.
const errorHead = "| code | message | repeat | cause | what to do |\n|---|---|---|---|---|\n"

// TestErrorTable checks the table of errors against the reference of package hub.
func TestErrorTable(t *testing.T) {
	path := filepath.Join(root, errorTable)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	document := string(content)
	begin := strings.Index(document, errorHead)
	if begin < 0 {
		t.Fatalf("%s has no table of errors, which begins %s", errorTable, errorHead)
	}
	begin += len(errorHead)
	table, _, _ := strings.Cut(document[begin:]+"\n", "\n\n")
	table += "\n"
	var want strings.Builder
	for _, e := range hub.ErrorReference {
		repeat := "no"
		if e.Temporary {
			repeat = "yes"
		}
		fmt.Fprintf(&want, "| %d | `%s` | %s | %s | %s |\n", e.Code, e.Message, repeat, e.Cause, e.Cure)
	}
	if want.String() == table {
		return
	}
	if !*update {
		t.Errorf("run go test ./localstack/docs -run TestErrorTable -update: -code +document\n%s", cmp.Diff(want.String(), table))
		return
	}
	fresh := document[:begin] + want.String() + strings.TrimPrefix(document[begin:]+"\n", table)
	if err := os.WriteFile(path, []byte(strings.TrimRight(fresh, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // a document for everybody to read
		t.Fatal(err)
	}
}

// mistakeCell is the row of a mistake with a code, and the code spans in its last cell.
var mistakeCell = regexp.MustCompile(`(?m)^\| .* \| (\d+|) \| (.*` + "`" + `.*) \|$`)

// TestMistakeTable checks that the messages in the table of usual mistakes are those of
// the tests that make the mistakes.
func TestMistakeTable(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	made := read("localstack/e2e/testdata/mistakes.txt") + read("localstack/stack/options_test.go") + read("pkg/cent/cmd/cent/doctor_test.go")
	_, table, _ := strings.Cut(read(errorTable), "### Usual mistakes")
	messages := 0
	for _, row := range mistakeCell.FindAllStringSubmatch(table, -1) {
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			if message := span[1]; len(message) > len("https") {
				messages++
				if !slices.ContainsFunc(strings.Split(made, "\n"), func(line string) bool {
					return strings.Contains(line, message) && (row[1] == "" || strings.Contains(line, `"code":`+row[1]))
				}) {
					t.Errorf("no test gets %q with code %s", message, row[1])
				}
			}
		}
	}
	if messages < 10 {
		t.Errorf("%d messages: is the table read wrongly?", messages)
	}
}

// constants are those whose values documents may state, as documents write them.
var constants = map[string]string{
	"hub.MaxNameBytes":               size(hub.MaxNameBytes),
	"hub.MaxChannels":                count(hub.MaxChannels),
	"hub.MaxPermissions":             count(hub.MaxPermissions),
	"hub.MaxPermissionBytes":         size(hub.MaxPermissionBytes),
	"hub.MaxChannelBytes":            size(hub.MaxChannelBytes),
	"hub.MaxInfoBytes":               size(hub.MaxInfoBytes),
	"hub.DefaultMessageBytes":        size(hub.DefaultMessageBytes),
	"hub.MaxMessageBytes":            size(hub.MaxMessageBytes),
	"hub.MaxListed":                  count(hub.MaxListed),
	"hub.MaxShards":                  count(hub.MaxShards),
	"hub.MaxTags":                    count(hub.MaxTags),
	"hub.MaxTagBytes":                size(hub.MaxTagBytes),
	"hub.MaxAhead":                   count(hub.MaxAhead),
	"hub.MaxHistory":                 count(hub.MaxHistory),
	"hub.MaxHistoryBytes":            size(hub.MaxHistoryBytes),
	"hub.MaxRecoveryBytes":           size(hub.MaxRecoveryBytes),
	"hub.MaxPresence":                count(hub.MaxPresence),
	"hub.MaxCounted":                 count(hub.MaxCounted),
	"hub.MaxChannelPage":             count(hub.MaxChannelPage),
	"hub.MaxUsage":                   count(hub.MaxUsage),
	"hub.MaxPresenceBytes":           size(hub.MaxPresenceBytes),
	"hub.MaxConnectionAge":           duration(hub.MaxConnectionAge),
	"hub.IdempotencyWindow":          duration(hub.IdempotencyWindow),
	"hub.IdempotencyLease":           duration(hub.IdempotencyLease),
	"serverapi.MaxBodyBytes":         size(serverapi.MaxBodyBytes),
	"classic.MaxLabelBytes":          size(classic.MaxLabelBytes),
	"serverapi.MaxBroadcastChannels": count(serverapi.MaxBroadcastChannels),
	"auth.MaxTokenBytes":             size(auth.MaxTokenBytes),
	"auth.Leeway":                    duration(auth.Leeway),
	"auth.KeySetAge":                 duration(auth.KeySetAge),
	"auth.KeySetStale":               duration(auth.KeySetStale),
	"auth.KeySetInterval":            duration(auth.KeySetInterval),
	"callback.FetchTimeout":          duration(callback.FetchTimeout),
	"callback.ValidateTimeout":       duration(callback.ValidateTimeout),
	"callback.ValidateAttempts":      count(callback.ValidateAttempts),
	"callback.Budget":                duration(callback.Budget),
	"callback.ProxyTimeout":          duration(callback.ProxyTimeout),
	"hub.ProxyBudget":                duration(hub.ProxyBudget),
	"callback.NotifyTimeout":         duration(callback.NotifyTimeout),
	"hub.AnnounceTimeout":            duration(hub.AnnounceTimeout),
	"functions.Timeout":              duration(functions.Timeout),
	"eventbus.Timeout":               duration(eventbus.Timeout),
	"delivery.DefaultTimeout":        duration(delivery.DefaultTimeout),
	"cent.DefaultTimeout":            duration(cent.DefaultTimeout),
	"cent.DefaultAttempts":           count(cent.DefaultAttempts),
}

// constantCell is a table cell followed by one that names a Go constant.
var constantCell = regexp.MustCompile("\\| ([^|\n]*?) ?\\| `(\\w+\\.[A-Z]\\w*)` \\|")

// TestConstantValues checks the values that tables state next to the name of a Go
// constant.
func TestConstantValues(t *testing.T) {
	found := 0
	for _, d := range documents(t) {
		path := filepath.Join(root, d.path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fresh := constantCell.ReplaceAllStringFunc(string(content), func(cells string) string {
			m := constantCell.FindStringSubmatch(cells)
			found++
			value, known := constants[m[2]]
			switch {
			case !known:
				t.Errorf("%s: this test does not know the constant %s", d.path, m[2])
				return cells
			case value != m[1] && !*update:
				t.Errorf("%s: %s is %s, the document says %s; run go test ./localstack/docs -run TestConstantValues -update", d.path, m[2], value, m[1])
			}
			return "| " + value + " | `" + m[2] + "` |"
		})
		if *update && fresh != string(content) {
			if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil { //nolint:gosec // a document for everybody to read
				t.Fatal(err)
			}
		}
	}
	if found == 0 {
		t.Error("no document states the value of a constant: is it read wrongly?")
	}
}

func size(bytes int) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return count(bytes>>20) + " MB"
	case bytes >= 1<<10 && bytes%(1<<10) == 0:
		return count(bytes>>10) + " KB"
	}
	return count(bytes) + " bytes"
}

func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func duration(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
			d -= n * unit.length
		}
	}
	return strings.Join(parts, " ")
}
