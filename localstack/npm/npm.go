// Package npm installs programs from npm for the local stack and its tests. The
// file localstack/package-lock.json pins them by hash.
//
// It knows nothing about the programs and runs none of their install scripts.
package npm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"centrifuge/localstack/process"
)

// folder holds package.json and package-lock.json, as a path in the repository.
const folder = "localstack"

// Package is one package that package-lock.json pins.
type Package struct {
	// Name is the name on npm: "@dynoxide/linux-x64".
	Name string
	// File is the file that the caller needs, as a path in the package or a pattern
	// of filepath.Match.
	File string
	// Alternative ends the error for a package that cannot be installed. It says what
	// else to do: "set X to Y".
	Alternative string
}

// Install returns the path of File. It runs npm when the pinned version is not
// installed; the output of npm goes to progress. The first package that is no
// development dependency is installed without those. Any number of processes may
// call Install concurrently. The working directory must be in the repository.
//
// It fails when npm is missing or does not install the package; the error names
// Alternative.
func (p Package) Install(ctx context.Context, progress io.Writer) (string, error) {
	dir, err := find()
	if err != nil {
		return "", err
	}
	if file, err := p.installed(dir); file != "" || err != nil {
		return file, err
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", fmt.Errorf("wait for another installation: %w", err)
	}
	defer unlock()
	if file, err := p.installed(dir); file != "" || err != nil {
		return file, err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm is not installed: install Node.js 20 or later, or %s", p.Alternative)
	}
	args, err := p.arguments(dir)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "installing %s from npm\n", p.Name)
	cmd := exec.CommandContext(ctx, npm, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, progress, progress
	if err := process.Run(cmd); err != nil {
		return "", fmt.Errorf("npm install in %s: %w", folder, err)
	}
	file, err := p.installed(dir)
	if file == "" || err != nil {
		// npm ignores an optional package that it cannot download.
		return "", errors.Join(fmt.Errorf("npm did not install %s: check that the registry is reachable, or %s", p.Name, p.Alternative), err)
	}
	return file, nil
}

// arguments are those of an npm that adds what is missing and leaves the rest in
// place: other processes may use it. They omit development dependencies, which are
// large, while nothing is installed that npm would then remove.
func (p Package) arguments(dir string) ([]string, error) {
	args := []string{"install", "--no-save", "--ignore-scripts"}
	locked, err := p.locked(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); errors.Is(err, os.ErrNotExist) && !locked.Dev {
		args = append(args, "--omit=dev")
	}
	return args, nil
}

// module is the folder of the package, as npm's lock files name it.
func (p Package) module() string { return "node_modules/" + p.Name }

// installed returns the path of File when the pinned version is installed
// completely: npm writes node_modules/.package-lock.json last.
func (p Package) installed(dir string) (string, error) {
	want, err := p.locked(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", err
	}
	have, err := p.locked(filepath.Join(dir, "node_modules", ".package-lock.json"))
	// A file that is absent or incomplete means that nothing is installed.
	if complete := err == nil && have.Version == want.Version; !complete {
		return "", nil
	}
	files, err := filepath.Glob(filepath.Join(dir, p.module(), p.File))
	if len(files) == 0 {
		return "", err
	}
	return files[0], nil
}

// locked is the package's entry in one of npm's lock files.
func (p Package) locked(path string) (entry lockEntry, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return lockEntry{}, err
	}
	var lock struct {
		Packages map[string]lockEntry `json:"packages"`
	}
	if err := json.Unmarshal(b, &lock); err != nil {
		return lockEntry{}, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return lock.Packages[p.module()], nil
}

type lockEntry struct {
	Version string `json:"version"`
	Dev     bool   `json:"dev"`
}

// find returns the folder in the module of the working directory. The working
// directory of a test is the folder of its package.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, module := os.Stat(filepath.Join(dir, "go.mod"))
		_, lock := os.Stat(filepath.Join(dir, folder, "package-lock.json"))
		if module == nil && lock == nil {
			return filepath.Join(dir, folder), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no %s/package-lock.json in the working directory or above: run the command inside the repository", folder)
		}
		dir = parent
	}
}
