package hub

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRecover follows isStreamRecovered of Centrifugo.
func TestRecover(t *testing.T) {
	at := func(epoch string, offset uint64) Position { return Position{epoch, offset} }
	stream := func(offsets ...uint64) (publications []Message) {
		for _, n := range offsets {
			publications = append(publications, Message{ID: fmt.Sprint("m", n), Position: at("e", n)})
		}
		return publications
	}
	for _, test := range []struct {
		name         string
		since, top   Position
		publications []Message
		recovered    bool
	}{
		{"client at the top", at("e", 5), at("e", 5), nil, true},
		{"client that missed one", at("e", 4), at("e", 5), stream(5), true},
		{"client that missed all", at("e", 0), at("e", 3), stream(1, 2, 3), true},
		{"client without an epoch at the top", at("", 5), at("e", 5), nil, true},
		{"client without an epoch that missed some", at("", 3), at("e", 5), stream(4, 5), true},
		{"client of an empty stream", at("e", 0), at("e", 0), nil, true},
		{"client of a stream that does not exist", at("", 0), at("", 0), nil, true},
		{"client of a stream that began since", at("", 0), at("e", 2), stream(1, 2), true},
		{"client of a stream that began since, and lost its first message", at("", 0), at("e", 2), stream(2), false},
		{"client of another epoch", at("f", 5), at("e", 5), nil, false},
		{"client of another epoch with publications", at("f", 4), at("e", 5), stream(5), false},
		{"client of a stream that has expired", at("e", 5), at("", 0), nil, false},
		{"client beyond the top", at("e", 6), at("e", 5), nil, false},
		{"window that begins later", at("e", 2), at("e", 5), stream(4, 5), false},
		{"window that is empty", at("e", 2), at("e", 5), nil, false},
		{"window with a gap", at("e", 2), at("e", 5), stream(3, 5), false},
		{"window that ends before the top, because of the limit", at("e", 2), at("e", 6), stream(3, 4, 5), false},
		{"window that ends after the top", at("e", 2), at("e", 3), stream(3, 4), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := test.publications
			if !test.recovered {
				want = nil
			}
			missed, recovered := Recover(test.since, test.top, test.publications)
			if recovered != test.recovered {
				t.Errorf("recovered is %v, want %v", recovered, test.recovered)
			}
			if d := cmp.Diff(want, missed); d != "" {
				t.Errorf("missed (-want +got):\n%s", d)
			}
		})
	}
}

func TestStreamChoice(t *testing.T) {
	history := CategoryOptions{HistorySize: 10, HistoryTTL: Duration(time.Minute)}
	p := &Project{ID: "p", Name: "P", Categories: map[string]Category{
		"direct":  {ID: "1", Name: "direct", CategoryOptions: CategoryOptions{Linger: Duration(time.Millisecond)}},
		"ordered": {ID: "2", Name: "ordered", Incarnation: "89abcdef", CategoryOptions: CategoryOptions{Ordered: true}},
		"history": {ID: "3", Name: "history", CategoryOptions: history},
	}}
	for _, test := range []struct {
		category string
		streams  bool
		want     Stream
	}{
		{"absent", false, Stream{}},
		{"direct", false, Stream{}},
		{"ordered", true, Stream{Channel{"p", "ordered", "89abcdef", "x"}, "P", "2", Retention{0, 0, 720 * time.Hour}, 0}},
		{"history", true, Stream{Channel{"p", "history", "", "x"}, "P", "3", Retention{10, time.Minute, 720 * time.Hour}, 0}},
	} {
		got, streams := p.Stream(Channel{Category: test.category, Name: "x"})
		if streams != test.streams {
			t.Errorf("category %s has streams: %v", test.category, streams)
		}
		if streams && got != test.want {
			t.Errorf("category %s: %+v, want %+v", test.category, got, test.want)
		}
	}
}

func TestRetentionExpiry(t *testing.T) {
	for _, test := range []struct {
		name                string
		retention           Retention
		publication, stream time.Duration
	}{
		{"no history", Retention{MetaTTL: 720 * time.Hour}, 6 * time.Hour, 720 * time.Hour},
		{"short history", Retention{1, time.Minute, 24 * time.Hour}, 6 * time.Hour, 24 * time.Hour},
		{"history longer than its stream", Retention{1, 48 * time.Hour, 7 * time.Hour}, 48 * time.Hour, 48 * time.Hour},
		{"stream shorter than a publication", Retention{1, time.Minute, time.Minute}, 6 * time.Hour, 6 * time.Hour},
	} {
		now := time.Unix(1_800_000_000, 0)
		if got := test.retention.PublicationExpires(now).Sub(now); got != test.publication {
			t.Errorf("%s: publications expire after %v, want %v", test.name, got, test.publication)
		}
		if got := test.retention.StreamExpires(now).Sub(now); got != test.stream {
			t.Errorf("%s: the stream expires after %v, want %v", test.name, got, test.stream)
		}
	}
}

func TestHeadSafe(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	inline := Lease{ID: "l", Until: now.Add(time.Second)}
	durable := Lease{ID: "l", Durable: true, Request: "r", Until: now.Add(time.Second)}
	over := func(l Lease) Lease {
		l.Until = now.Add(-LeaseSlack)
		return l
	}
	for _, test := range []struct {
		name       string
		head       Head
		safe, free bool
	}{
		{"no lease", Head{}, false, true},
		{"inline lease", Head{Lease: inline}, false, false},
		{"inline lease that has expired", Head{Lease: over(inline)}, false, true},
		{"durable lease", Head{Lease: durable}, true, false},
		{"durable lease in its slack", Head{Lease: Lease{ID: "l", Durable: true, Until: now.Add(time.Millisecond - LeaseSlack)}}, true, false},
		{"durable lease that has expired", Head{Lease: over(durable)}, false, true},
		{"inline lease with a dispatcher that waits", Head{Lease: inline, Next: Turn{"r", now}}, true, false},
		{"inline lease with a turn that has expired", Head{Lease: inline, Next: Turn{"r", now.Add(-LeaseSlack)}}, false, false},
		{"no lease with a dispatcher that waits", Head{Next: Turn{"r", now}}, true, true},
	} {
		if got := test.head.Safe(now); got != test.safe {
			t.Errorf("%s: safe is %v, want %v", test.name, got, test.safe)
		}
		if got := test.head.Lease.Free(now); got != test.free {
			t.Errorf("%s: free is %v, want %v", test.name, got, test.free)
		}
	}
}

func TestValidateTags(t *testing.T) {
	many := make(map[string]string)
	for i := range MaxTags {
		many[fmt.Sprint(i)] = ""
	}
	more := map[string]string{"one more": ""}
	for name := range many {
		more[name] = ""
	}
	for _, test := range []struct {
		name string
		tags map[string]string
		want string // "" for no error
	}{
		{"none", nil, ""},
		{"any characters", map[string]string{"ключ #\x00": "", "b": "ü"}, ""},
		{"as many as are allowed", many, ""},
		{"one more", more, "limit exceeded: 33 tags, at most 32 are allowed"},
		{"as long as is allowed", map[string]string{"a": strings.Repeat("x", MaxTagBytes-1)}, ""},
		{"one byte more", map[string]string{"a": strings.Repeat("x", MaxTagBytes)}, "limit exceeded: tags are 1025 bytes, at most 1024 are allowed"},
		{"no name", map[string]string{"": "x"}, "bad request: a tag has no name"},
		{"name that is not UTF-8", map[string]string{"\xff": "x"}, "bad request: a tag is not UTF-8"},
		{"value that is not UTF-8", map[string]string{"a": "\xff"}, "bad request: a tag is not UTF-8"},
	} {
		got := ""
		if err := ValidateTags(test.tags); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: error %q, want %q", test.name, got, test.want)
		}
	}
}
