package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/functions"
	"centrifuge/pkg/hub"
)

// postTime is the time of one post that the documents assume. Nobody has measured it on
// AWS.
const postTime = 20 * time.Millisecond

// capacity is the number of posts that an invocation can make in a time, rounded down to
// thousands.
func capacity(posts int, in time.Duration) int {
	return posts * int(in/postTime) / 1000 * 1000
}

// subscribers is a statement about the number of subscribers that one invocation can
// post to.
var subscribers = regexp.MustCompile(`about\s+([\d,]+)\s+subscribers`)

// TestCapacity computes how many subscribers a message reaches, and compares with every
// document that states it. infra/README.md shows the computation.
func TestCapacity(t *testing.T) {
	of := map[string]functions.Function{}
	for _, f := range functions.All {
		of[f.Name] = f
	}
	publish, subscribe := of["publish"].Posts, of["subscribe"].Posts
	for _, f := range functions.All {
		want := map[int]bool{0: true, publish: f.MemoryMB > of["subscribe"].MemoryMB, subscribe: f.MemoryMB == of["subscribe"].MemoryMB}
		if !want[f.Posts] {
			t.Errorf("%s makes %d concurrent posts, which infra/README.md does not say", f.Name, f.Posts)
		}
	}

	page := file(t, "infra/README.md")
	work := functions.Timeout - functions.Reserve
	message, join := capacity(publish, work), capacity(subscribe, hub.AnnounceTimeout)
	for _, statement := range []string{
		fmt.Sprintf("and %s: Lambda ends it after %s, and it keeps %s", duration(work), duration(functions.Timeout), duration(functions.Reserve)),
		fmt.Sprintf("| %d posts × %s ÷ %s | about %s subscribers |", publish, duration(work), duration(postTime), count(message)),
		fmt.Sprintf("| %d posts × %s ÷ %s | about %s subscribers |", subscribe, duration(hub.AnnounceTimeout), duration(postTime), count(join)),
		fmt.Sprintf("about %s posts a second", count(publish*int(time.Second/postTime))),
	} {
		if !strings.Contains(strings.Join(strings.Fields(page), " "), statement) {
			t.Errorf("infra/README.md does not say %q", statement)
		}
	}

	var found []string
	for _, d := range documents(t) {
		for _, m := range subscribers.FindAllStringSubmatch(file(t, d.path), -1) {
			found = append(found, d.path)
			if m[1] != count(message) && (d.path != "infra/README.md" || m[1] != count(join)) {
				t.Errorf("%s says %q, want %s", d.path, m[0], count(message))
			}
		}
	}
	for _, path := range []string{readme, "infra/README.md", "infra/COST.md", "pkg/hub/README.md"} {
		if !slices.Contains(found, path) {
			t.Errorf("%s does not say how many subscribers a channel may have", path)
		}
	}
}

// file returns the content of a file of the repository.
func file(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
