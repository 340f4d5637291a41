package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// verifyJars returns the class path of the jars that a list in the format of sha256sum
// names. It fails when a jar is missing or has another hash: Maven has no lock file.
func verifyJars(dir, list string) (string, error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return "", err
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		want, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return "", fmt.Errorf("%s: line %q has no hash and name", list, line)
		}
		path := filepath.Join(dir, name)
		jar, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("jar of %s: %w", list, err)
		}
		if sum := sha256.Sum256(jar); hex.EncodeToString(sum[:]) != want {
			return "", fmt.Errorf("%s has SHA-256 %x, %s says %s", path, sum, list, want)
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, string(filepath.ListSeparator)), nil
}
