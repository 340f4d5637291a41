package console

import (
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// at is noon in the zone of this machine.
var at = time.Date(2026, 9, 30, 12, 0, 0, 5e6, time.Local)

func line(attributes string) string {
	return `{"time":"` + at.Format(time.RFC3339Nano) + `",` + attributes + "}\n"
}

func TestLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"message and attributes", line(`"level":"INFO","msg":"connection opened","connection":"a=","duration":12345678`),
			"12:00:00.005 connection opened    connection=a= duration=12ms\n"},
		{"duration below ten milliseconds", line(`"level":"INFO","msg":"frame","duration":1234567`),
			"12:00:00.005 frame                duration=1.2ms\n"},
		{"duration over a minute", line(`"level":"INFO","msg":"frame","duration":61200000000`),
			"12:00:00.005 frame                duration=1m1s\n"},
		{"refused channels", line(`"level":"INFO","msg":"frame","refused":{"chat":["a b"]}`),
			"12:00:00.005 frame                refused={\"chat\":[\"a b\"]}\n"},
		{"ids of requests, empty values and zero failures are hidden", line(`"level":"DEBUG","msg":"message dispatched","delivered":2,"gone":0,"slow":0,"failed":1,"origin":"","request":"id","event_request":"id"`),
			"12:00:00.005 message dispatched   delivered=2 failed=1\n"},
		{"text with a space", line(`"level":"INFO","msg":"frame","error":"not found"`),
			"12:00:00.005 frame                error=\"not found\"\n"},
		{"control characters", line(`"level":"INFO","msg":"request","path":"/\u001b[2J"`),
			"12:00:00.005 request              path=\"/\\x1b[2J\"\n"},
		{"long message", line(`"level":"INFO","msg":"announce joins and leaves failed","unsent":1`),
			"12:00:00.005 announce joins and leaves failed unsent=1\n"},
		{"line of a process", "[auth] " + line(`"level":"INFO","msg":"project not found"`), "12:00:00.005 project not found    function=auth\n"},
		{"refused command, which is in the line of its frame", line(`"level":"DEBUG","msg":"command refused","code":107`), ""},
		{"refused channel of a process", "[subscribe] " + line(`"level":"DEBUG","msg":"subscribe refused","code":103`), ""},
		{"text of a process", "[auth] START RequestId: 1\n", "[auth] START RequestId: 1\n"},
		{"text", "installing\n", "installing\n"},
		{"JSON that is not an object", "[1]\n", "[1]\n"},
		{"incomplete JSON", "{\"a\":\n", "{\"a\":\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if _, err := io.WriteString(NewWriter(&out, false), tt.in); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got  %q\nwant %q", out.String(), tt.want)
			}
		})
	}
}

func TestColour(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"error", `"level":"ERROR","msg":"integration failed"`, "\x1b[31mintegration failed  \x1b[0m"},
		{"warning", `"level":"WARN","msg":"cleanup failed"`, "\x1b[33mcleanup failed      \x1b[0m"},
		{"frame", `"level":"INFO","msg":"frame"`, "\x1b[36mframe               \x1b[0m"},
		{"frame with refused channels", `"level":"INFO","msg":"frame","refused":{}`, "\x1b[33mframe               \x1b[0m \x1b[2mrefused=\x1b[0m\x1b[33m{}\x1b[0m"},
		{"request that succeeds", `"level":"INFO","msg":"request","status":200`, "\x1b[34mrequest             \x1b[0m \x1b[2mstatus=\x1b[0m\x1b[32m200\x1b[0m"},
		{"request that is refused", `"level":"INFO","msg":"request","status":404`, "\x1b[33mrequest             \x1b[0m \x1b[2mstatus=\x1b[0m\x1b[33m404\x1b[0m"},
		{"request that fails", `"level":"INFO","msg":"request","status":500`, "\x1b[31mrequest             \x1b[0m \x1b[2mstatus=\x1b[0m\x1b[31m500\x1b[0m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if _, err := io.WriteString(NewWriter(&out, true), line(tt.in)); err != nil {
				t.Fatal(err)
			}
			if want := "\x1b[2m12:00:00.005\x1b[0m " + tt.want + "\n"; strings.TrimRight(out.String(), " ") != want {
				t.Errorf("got  %q\nwant %q", out.String(), want)
			}
		})
	}
}

func TestLineInParts(t *testing.T) {
	var out strings.Builder
	w := NewWriter(&out, false)
	in := line(`"level":"INFO","msg":"frame","bytes":3`) + "half"
	for i := range in {
		if _, err := io.WriteString(w, in[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if want := "12:00:00.005 frame                bytes=3\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestConcurrentLoggers(t *testing.T) {
	var out strings.Builder
	w := NewWriter(&out, false)
	var running sync.WaitGroup
	for range 8 {
		log := slog.New(slog.NewJSONHandler(w, nil))
		running.Go(func() {
			for range 50 {
				log.Info("frame", "bytes", 3)
			}
		})
	}
	running.Wait()
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if !strings.HasSuffix(line, " frame                bytes=3") {
			t.Errorf("line %q", line)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 400 {
		t.Errorf("%d lines, want 400", n)
	}
}
