// Package bundle makes the file with which pages of the functions connect: the browser
// build of npm centrifuge, the JavaScript SDK of Centrifugo, as its authors publish it,
// below its licences. localstack/package-lock.json pins it by hash.
package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"centrifuge/localstack/npm"
)

// sdk is the package. Its browser build holds package events too, which npm installs
// with it.
var sdk = npm.Package{
	Name: "centrifuge", File: "dist/centrifuge.js",
	Alternative: "connect this machine to the registry of npm once",
}

// Script returns the file, in UTF-8. It installs the package when that is missing; the
// output of npm goes to progress. Any number of processes may call Script concurrently.
// The working directory must be in the repository. It fails as npm.Package does, and when
// a licence is missing.
func Script(ctx context.Context, progress io.Writer) ([]byte, error) {
	path, err := sdk.Install(ctx, progress)
	if err != nil {
		return nil, err
	}
	module := filepath.Dir(filepath.Dir(path))
	var script bytes.Buffer
	for _, licensed := range []struct{ name, file string }{
		{"npm centrifuge", filepath.Join(module, "LICENSE")},
		{"npm events, which it contains", filepath.Join(filepath.Dir(module), "events", "LICENSE")},
	} {
		licence, err := os.ReadFile(licensed.file)
		if err == nil && bytes.Contains(licence, []byte("*/")) {
			err = errors.New("it ends a comment")
		}
		if err != nil {
			return nil, fmt.Errorf("read the licence of %s: %w", licensed.name, err)
		}
		fmt.Fprintf(&script, "/*! %s\n\n%s\n*/\n", licensed.name, bytes.TrimSpace(licence))
	}
	code, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// Browsers would ask for the source map, which no function has.
	code, _, _ = bytes.Cut(code, []byte("\n//# sourceMappingURL="))
	script.Write(code)
	script.WriteByte('\n')
	return script.Bytes(), nil
}

// Write writes the file to path, which it replaces at once, and makes the folder.
func Write(ctx context.Context, path string, progress io.Writer) error {
	script, err := Script(ctx, progress)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, "bundle-")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails where it was renamed
	_, err = temporary.Write(script)
	// Lambda runs functions as another user than the one that made the file.
	return errors.Join(err, temporary.Chmod(0o644), temporary.Close(), os.Rename(temporary.Name(), path))
}
