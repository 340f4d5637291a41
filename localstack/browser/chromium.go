package browser

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"centrifuge/localstack/npm"
	"centrifuge/localstack/process"
)

// chromiumPlatform is the platform that the package has a binary for, as Go names it.
const chromiumPlatform = "linux/amd64"

const alternative = "install Chromium or Google Chrome, or set CHROMIUM to the path of one"

// chromiumPackage carries a Chromium for AWS Lambda, compressed by brotli: the browser,
// the libraries that a small machine lacks, and a font.
var chromiumPackage = npm.Package{Name: "@sparticuz/chromium", File: "bin/chromium.br", Alternative: alternative}

// unpack makes the package inflate its archives into TMPDIR. Its argument is their
// folder.
const unpack = `
import { inflate } from "@sparticuz/chromium";
for (const archive of ["chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"]) {
  await inflate(process.argv[1] + "/" + archive);
}`

// launcher starts the browser with the libraries and the font of the package, so that
// it needs nothing from this machine and looks the same on every machine.
const launcher = `#!/bin/sh
folder=${0%/*}
export LD_LIBRARY_PATH="$folder/al2023/lib" FONTCONFIG_FILE="$folder/fonts.conf"
exec "$folder/chromium" "$@"
`

const fontconfig = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir></fontconfig>
`

// find returns the path of a browser. chosen, when not empty, is the only candidate.
func find(ctx context.Context, chosen string) (string, error) {
	if chosen != "" {
		path, err := exec.LookPath(chosen)
		if err != nil {
			return "", fmt.Errorf("CHROMIUM=%s is no program: %s: %w", chosen, alternative, err)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return fromNPM(ctx, runtime.GOOS+"/"+runtime.GOARCH)
}

// fromNPM returns the launcher of the Chromium from npm, and installs it when it is
// missing.
func fromNPM(ctx context.Context, platform string) (string, error) {
	if platform != chromiumPlatform {
		return "", fmt.Errorf("no browser: npm has a Chromium for %s only, not for %s: %s", chromiumPlatform, platform, alternative)
	}
	archive, err := chromiumPackage.Install(ctx, os.Stderr)
	if err != nil {
		return "", fmt.Errorf("install Chromium: %w", err)
	}
	archives := filepath.Dir(archive)
	// npm removes the folder together with another version of the package.
	folder := filepath.Join(archives, "unpacked")
	err = makeOnce(folder, func(temporary string) error { return inflate(ctx, archives, temporary) })
	if err != nil {
		return "", fmt.Errorf("unpack Chromium: %w", err)
	}
	return filepath.Join(folder, "launch"), nil
}

func inflate(ctx context.Context, archives, folder string) error {
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "--eval", unpack, archives)
	cmd.Dir, cmd.Env = archives, append(os.Environ(), "TMPDIR="+folder)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return errors.Join(
		process.Run(cmd),
		os.WriteFile(filepath.Join(folder, "fonts.conf"), []byte(fontconfig), 0o644),
		os.WriteFile(filepath.Join(folder, "launch"), []byte(launcher), 0o755),
	)
}

// makeOnce makes a folder unless it exists: fill gets a temporary folder that is
// renamed at the end. So the folder is complete, and processes may call makeOnce
// concurrently.
func makeOnce(folder string, fill func(temporary string) error) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	temporary, err := os.MkdirTemp(filepath.Dir(folder), "temporary-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := errors.Join(fill(temporary), os.Chmod(temporary, 0o755)); err != nil {
		return err
	}
	if err := os.Rename(temporary, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
