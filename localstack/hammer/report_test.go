package hammer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// maxLines is how many lines of the log are kept.
const maxLines = 40

// functionLog counts the warnings and errors of functions. It is safe for concurrent use.
type functionLog struct {
	mu     sync.Mutex
	counts map[string]int // by function and message
	lines  []string       // the last ones
}

func newFunctionLog() *functionLog { return &functionLog{counts: make(map[string]int)} }

// Write gets whole lines, "[function] {…}".
func (l *functionLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(b) {
		function, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		var entry struct{ Level, Msg string }
		if json.Unmarshal(rest, &entry) != nil || entry.Level != "WARN" && entry.Level != "ERROR" {
			continue
		}
		l.counts[strings.Trim(string(function), "[]")+": "+entry.Msg]++
		l.lines = append(l.lines[max(0, len(l.lines)-maxLines+1):], string(bytes.TrimSpace(line)))
	}
	return len(b), nil
}

// last are the last lines.
func (l *functionLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return "the last warnings of functions:\n" + strings.Join(l.lines, "\n")
}

// report is the table of a run.
func (h *hammer) report(clients []subscriber, streams []stream, twice int, loaded, settled time.Duration) string {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}

	out.WriteString("\n")
	row("load", "%d clients in %d channels, %d publishers, %.1f s, then %.1f s until all was received", len(clients), channels, publishers,
		loaded.Seconds(), settled.Seconds())
	h.messages(row, streams)
	h.receipts(row, clients, twice)
	f, w, l := h.faults, h.watch, h.log
	f.mu.Lock()
	row("posts refused", "%d connections with 410, %d posts with 429, %d with 5xx", len(f.gone), f.slow, f.failed)
	f.mu.Unlock()
	w.mu.Lock()
	row("killed", "%d processes", len(w.killed))
	var deaths []string
	for d, n := range w.deaths {
		deaths = append(deaths, fmt.Sprintf("%s, %s %s: %d", d.function, d.when, d.action, n))
	}
	slices.Sort(deaths)
	for _, line := range deaths {
		row("", "%s", line)
	}
	if !w.catchUp { // a second process that posts an offset may catch up a client that joins
		row("take-overs", "%d", w.takeOvers)
	}
	if w.publications > 0 {
		row("frames per message", "%.3f of all posts", float64(w.frames)/float64(w.publications))
	}
	w.mu.Unlock()
	row("dead letters", "%d, run again", h.redriven.Load())
	l.mu.Lock()
	for _, warning := range slices.Sorted(maps.Keys(l.counts)) {
		row("log", "%d × %s", l.counts[warning], warning)
	}
	l.mu.Unlock()
	_ = table.Flush() // a strings.Builder does not fail
	return out.String()
}

func (h *hammer) messages(row func(string, string, ...any), streams []stream) {
	acknowledged, keyed, appended := 0, 0, 0
	all := h.ledger.all()
	for _, m := range all {
		if m.at.Offset != 0 {
			acknowledged++
		}
		if m.key != "" {
			keyed++
		}
	}
	for _, s := range streams {
		appended += len(s.publications)
	}
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	row("messages", "%d, %d with a key; %d acknowledged, %d in the streams", len(all), keyed, acknowledged, appended)
	row("calls without an answer", "%d, %d repeated under a key", len(h.ledger.failures), h.ledger.repeats)
}

func (h *hammer) receipts(row func(string, string, ...any), clients []subscriber, twice int) {
	stayed, received, recoveries := 0, 0, 0
	frames, publications := make(map[bool]int), make(map[bool]int) // by batch
	var late []time.Duration
	for _, c := range clients {
		r := c.receipts()
		if r.stayed {
			stayed++
		}
		frames[r.batch] += r.frames
		publications[r.batch] += r.publications
		received += r.publications
		recoveries += r.recoveries
		late = append(late, r.late...)
	}
	row("stayed", "%d clients", stayed)
	row("received", "%d publications, %d of them again; %d recoveries", received, twice, recoveries)
	if slices.Sort(late); len(late) > 0 {
		at := func(percent int) time.Duration { return late[(len(late)-1)*percent/100].Round(time.Millisecond) }
		row("from publish to receipt", "p50 %v, p90 %v, p99 %v, at most %v", at(50), at(90), at(99), at(100))
	}
	for batch, name := range map[bool]string{true: "with batch", false: "without batch"} {
		if frames[batch] > 0 {
			row("frames per message", "%.3f %s", float64(frames[batch])/float64(publications[batch]), name)
		}
	}
}
