package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/probe"
)

func TestAgreeToCost(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		yes, asks    bool
		want         error
	}{
		{name: "--yes", yes: true},
		{name: "y", answer: "y\n", asks: true},
		{name: "Yes without a line end", answer: "Yes", asks: true},
		{name: "n", answer: "n\n", asks: true, want: errDeclined},
		{name: "no answer", asks: true, want: errDeclined},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := agreeToCost(tt.yes, strings.NewReader(tt.answer), &out); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if printed := out.String(); !strings.HasPrefix(printed, "This costs at most about $0.0") || strings.Contains(printed, "Continue?") != tt.asks {
				t.Errorf("printed %q", printed)
			}
		})
	}
}

func TestWriteTranscript(t *testing.T) {
	folder := t.TempDir()
	ended := errors.New("no client can connect")
	var out bytes.Buffer
	err := writeTranscript(folder, &out, func(record func(probe.Result)) error {
		record(probe.Result{Name: "ping", Question: "Silent?", Assumed: "yes", Seen: "no reply", Agreement: probe.Yes, Seconds: 1})
		record(probe.Result{Name: "gone", Question: "Which status?", Assumed: "410", Seen: "400 <x>", Agreement: probe.No, Seconds: 2.25})
		return ended
	})
	if !errors.Is(err, ended) {
		t.Errorf("error %v", err)
	}
	want := `  ping                1.0 s  agrees: yes
  gone                2.2 s  agrees: no
      we assumed: 410
      seen:       400 <x>
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-expected +printed:\n%s", diff)
	}
	for name, want := range map[string]string{
		"transcript.jsonl": `{"name":"gone","question":"Which status?","assumed":"410","seen":"400 <x>","agreement":"no","seconds":2.25}` + "\n",
		"summary.txt":      "2 probes: 1 agree with what we assume, 1 do not, 0 are unknown.\n",
	} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !strings.HasSuffix(string(content), want) {
			t.Errorf("%s: error %v, content %s", name, err, content)
		}
	}
}
