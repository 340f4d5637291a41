// Package stacktest starts local stacks for tests, reads the seed file of the local
// stack, and builds the bootstraps. It knows nothing of the tests.
package stacktest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/localstack/stack"
	"centrifuge/pkg/store/storetest"
)

// Start starts a stack on a free port that ends with the test. Without a database in o
// it has a table of its own on a database that all tests of a package share.
func Start(tb testing.TB, o stack.Options) *stack.Stack {
	tb.Helper()
	if o.DynamoDBEndpoint == "" && o.DataDir == "" {
		o.DynamoDBEndpoint, o.Table = storetest.Table(tb)
	}
	s, err := stack.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Seed returns the seed file of the local stack after the replacements of pairs, which
// are those of strings.NewReplacer: old, new, old, new. The test fails when the file
// does not hold an old.
func Seed(tb testing.TB, pairs ...string) []byte {
	tb.Helper()
	seed, err := os.ReadFile(filepath.Join(repository(tb), "localstack", "seed.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return replace(tb, string(seed), pairs)
}

// repository is the folder of the repository.
func repository(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "localstack", "seed.json")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no localstack/seed.json in the working directory or above it: run the test inside the repository")
		}
		dir = filepath.Dir(dir)
	}
}

func replace(tb testing.TB, seed string, pairs []string) []byte {
	tb.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(seed, pairs[i]) {
			tb.Fatalf("localstack/seed.json does not contain %s", pairs[i])
		}
	}
	return []byte(strings.NewReplacer(pairs...).Replace(seed))
}
