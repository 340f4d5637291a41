package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"centrifuge/functions"
	"centrifuge/localstack/stack/stacktest"
)

// TestSizes holds the bootstraps to their limit, built for this machine. Those for Lambda are
// smaller where this machine is no ARM64. make bench measures them, and that of the admin pages.
func TestSizes(t *testing.T) {
	folder := stacktest.Bootstraps(t)
	for _, f := range functions.All {
		if f.Option == functions.Admin {
			continue
		}
		info, err := os.Stat(filepath.Join(folder, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if limit := maxSize(f.Name); info.Size() > limit {
			t.Errorf("the bootstrap of %s has %.1f MB, at most %d MB are allowed: go list -deps ./functions/%s shows what it links", f.Name, float64(info.Size())/(1<<20), limit>>20, f.Name)
		}
	}
}

func TestReferences(t *testing.T) {
	for name := range references {
		if !slices.ContainsFunc(functions.All, func(f functions.Function) bool { return f.Name == name }) {
			t.Errorf("%s is no function", name)
		}
	}
}
