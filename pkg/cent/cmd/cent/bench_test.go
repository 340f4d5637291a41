package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/cent"
)

// benched decodes the output of bench --json.
func benched(t *testing.T, r result) summary {
	t.Helper()
	var sum summary
	if err := json.Unmarshal([]byte(r.stdout), &sum); err != nil {
		t.Fatalf("%v in %+v", err, r)
	}
	return sum
}

// between puts a proxy in front of the stack. It forwards a request unless do has
// responded; n counts the requests.
func between(t *testing.T, env map[string]string, do func(n int, w http.ResponseWriter, r *http.Request, forward func()) (responded bool)) {
	t.Helper()
	target, err := url.Parse(env["CENT_ADDRESS"])
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(target)
	var n atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		// Without its key the stack publishes a message twice.
		b = regexp.MustCompile(`,"idempotency_key":"[^"]*"`).ReplaceAll(b, nil)
		forward := func() {
			again := r.Clone(r.Context())
			again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			behind.ServeHTTP(httptest.NewRecorder(), again)
		}
		if !do(int(n.Add(1)), w, r, forward) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			behind.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	env["CENT_ADDRESS"] = proxy.URL
}

func TestBench(t *testing.T) {
	// The validate_url of the demo does not grant log.
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"validate_url": "${HTTP_URL}/demo/validate"`, `"validate_url": ""`)})
	type handler = func(int, http.ResponseWriter, *http.Request, func()) bool
	client, err := cent.New(cent.Options{URL: s.HTTPURL, APIKey: "demo-key"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		do      handler // of the server API
		args    []string
		code    int
		want    summary
		message string
	}{
		{"everything arrives", nil, []string{"chat:load", "--clients=5", "--messages=40", "--rate=0"}, 0,
			summary{Channel: "chat:load", Clients: 5, Bytes: 128, Published: 40, Deliveries: 200}, "200 billed deliveries"},
		{"at a rate, one by one, in large messages", nil, []string{"chat:load", "--clients=2", "--messages=10", "--rate=500", "--parallel=1", "--size=30000"}, 0,
			summary{Channel: "chat:load", Clients: 2, Bytes: 30000, Published: 10, Deliveries: 20}, "20 billed deliveries"},
		{"a stream", nil, []string{"log:load", "--clients=5", "--messages=40", "--rate=0"}, 0,
			summary{Channel: "log:load", Clients: 5, Bytes: 128, Published: 40, Deliveries: 200}, "200 billed deliveries"},
		{"lost messages", func(n int, w http.ResponseWriter, _ *http.Request, _ func()) bool {
			if n == 3 || n == 7 {
				io.WriteString(w, `{"result":{}}`)
				return true
			}
			return false
		}, []string{"chat:load", "--clients=3", "--messages=10", "--rate=0", "--timeout=3s"}, 1,
			summary{Channel: "chat:load", Clients: 3, Bytes: 128, Published: 10, Deliveries: 24, Lost: 6}, "6 of 30 deliveries were lost"},
		{"duplicates", func(n int, _ http.ResponseWriter, _ *http.Request, forward func()) bool {
			if n <= 2 {
				forward()
			}
			return false
		}, []string{"chat:load", "--clients=3", "--messages=5", "--rate=0"}, 0,
			summary{Channel: "chat:load", Clients: 3, Bytes: 128, Published: 5, Deliveries: 15, Duplicates: 6}, ""},
		{"failed calls", func(n int, w http.ResponseWriter, _ *http.Request, _ func()) bool {
			if n%2 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n%2 == 0
		}, []string{"chat:load", "--clients=2", "--messages=10", "--rate=0"}, 1,
			summary{Channel: "chat:load", Clients: 2, Bytes: 128, Published: 5, Failed: 5, Deliveries: 10}, "5 messages could not be published; the first error: publish: status 503"},
		{"a client that loses its connection", func(n int, _ http.ResponseWriter, r *http.Request, _ func()) bool {
			if n == 4 {
				if err := client.Disconnect(r.Context(), "bench-1"); err != nil {
					t.Error(err)
				}
			}
			return false
		}, []string{"chat:load", "--clients=2", "--messages=10", "--rate=0", "--parallel=1"}, 1,
			summary{Channel: "chat:load", Clients: 2, Disconnected: 1, Bytes: 128, Published: 10, Deliveries: 13, Lost: 7}, "7 of 20 deliveries were lost"},
	} {
		run := func(t *testing.T, protocol ...string) {
			t.Helper()
			env := environment(s)
			if tt.do != nil {
				between(t, env, tt.do)
			}
			r := invoke(t, env, "", slices.Concat([]string{"bench", "--json", "--quiet"}, protocol, tt.args)...)
			if r.code != tt.code || !strings.Contains(r.stderr, tt.message) {
				t.Errorf("%+v, expected exit code %d and %q", r, tt.code, tt.message)
			}
			sum := benched(t, r)
			p := sum.ReceiptMS
			if sum.Seconds <= 0 || sum.DeliveriesPerSecond <= 0 || sum.PublishMS.P50 <= 0 || p.P50 <= 0 || p.P50 > p.P90 || p.P90 > p.P99 || p.P99 > p.Max {
				t.Errorf("measured %s", r.stdout)
			}
			sum.Seconds, sum.DeliveriesPerSecond, sum.PublishMS, sum.ReceiptMS = 0, 0, percentiles{}, percentiles{}
			if diff := cmp.Diff(tt.want, sum); diff != "" {
				t.Error(diff)
			}
		}
		t.Run(tt.name, func(t *testing.T) { run(t) })
		t.Run(tt.name+", classic", func(t *testing.T) { run(t, "--classic") })
	}
	t.Run("a table and lines without a terminal", func(t *testing.T) {
		r := invoke(t, environment(s), "", "bench", "chat:load", "--clients=3", "--messages=5", "--rate=0")
		digits := regexp.MustCompile(`\d+\.\d ms`)
		text := regexp.MustCompile(` {2,}`).ReplaceAllString(digits.ReplaceAllString(r.stdout, "N ms"), "  ")
		text = regexp.MustCompile(`15  \d+  0  0`).ReplaceAllString(text, "15  N  0  0")
		notes := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n") // a slow machine prints more lines between these
		golden(t, "output/bench.txt", "$ cent bench chat:load --clients=3 --messages=5 --rate=0\n"+text+notes[0]+"\n"+notes[len(notes)-1]+"\n")
	})
	t.Run("an absent category", func(t *testing.T) {
		r := invoke(t, environment(s), "", "bench", "-q", "nowhere:x")
		if r.code != 1 || !strings.Contains(r.stderr, "cent: subscribe: refused: nowhere:x") || r.stdout != "" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a wrong API key", func(t *testing.T) {
		r := invoke(t, environment(s), "", "bench", "-q", "--api-key=other", "--clients=1", "chat:x")
		if r.code != 1 || !strings.Contains(r.stderr, "unauthorized") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("an unreachable address", func(t *testing.T) {
		r := invoke(t, environment(s), "", "bench", "-q", "--address=http://127.0.0.1:1", "--clients=1", "--rate=0", "--parallel=1", "chat:x")
		if r.code != 3 || !strings.Contains(r.stderr, "connection refused") {
			t.Errorf("%+v", r)
		}
	})
}

func TestBenchInterrupt(t *testing.T) {
	s := start(t)
	for name, after := range map[string]int32{"while it publishes": 5, "before it has connected": 0} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			env := environment(s)
			between(t, env, func(n int, _ http.ResponseWriter, _ *http.Request, _ func()) bool {
				if int32(n) == after {
					interrupt()
				}
				return false
			})
			if after == 0 {
				interrupt()
			}
			var stdout, stderr bytes.Buffer
			code := run(ctx, world{args: []string{"bench", "--json", "--clients=2", "--messages=30000", "--rate=50", "--parallel=1", "chat:x"},
				stdout: &stdout, stderr: &stderr, getenv: func(name string) string { return env[name] }, now: time.Now, backOff: time.Millisecond})
			sum := benched(t, result{code, stdout.String(), stderr.String()})
			if code != 0 || int32(sum.Published) < after || sum.Published > 100 || sum.Deliveries != 2*sum.Published || sum.Lost != 0 {
				t.Errorf("exit code %d, %+v, %s", code, sum, stderr.String())
			}
		})
	}
}

func TestBenchLimits(t *testing.T) {
	env := map[string]string{"CENT_API_KEY": "k", "CENT_PROJECT": "demo", "CENT_SECRET": "s", "CENT_ADDRESS": "http://127.0.0.1:1", "CENT_WEBSOCKET": "ws://127.0.0.1:1/dev"}
	for _, tt := range []struct {
		args    []string
		message string
	}{
		{[]string{"--clients=0"}, "--clients is out of range: set it from 1 to 10000"},
		{[]string{"--clients=10001"}, "--clients is out of range: set it from 1 to 10000"},
		{[]string{"--messages=100001"}, "--messages is out of range: set it from 1 to 100000"},
		{[]string{"--rate=-1"}, "--rate is out of range: set it from 0 to 10000"},
		{[]string{"--size=63"}, "--size is out of range: set it from 64 to 131072"},
		{[]string{"--parallel=65"}, "--parallel is out of range: set it from 1 to 64"},
		{[]string{"--stop-after=2h"}, "--stop-after is out of range: set it from 1 to 3600 s"},
		{[]string{"--messages=100000", "--clients=1"}, "100000 messages at 50 per second take 33m20s"},
		{[]string{"--messages=10001", "--rate=0", "--clients=100"}, "1000100 billed deliveries are more than 1000000: add --yes"},
		{[]string{"--messages=5001", "--rate=0", "--clients=100", "--size=33000"}, "1000200 billed deliveries"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			r := invoke(t, env, "", append([]string{"bench", "chat:x"}, tt.args...)...)
			if r.code != 2 || !strings.Contains(r.stderr, tt.message) || r.stdout != "" {
				t.Errorf("%+v, expected %q", r, tt.message)
			}
		})
	}
	t.Run("--yes allows more", func(t *testing.T) {
		if err := (&bench{Clients: 1000, Messages: 100_000, Size: 128, Parallel: 1, StopAfter: time.Hour, Yes: true}).check(); err != nil {
			t.Error(err)
		}
	})
	t.Run("an unreachable address", func(t *testing.T) {
		if r := invoke(t, env, "", "bench", "-q", "chat:x"); r.code != 3 || !strings.Contains(r.stderr, "subscribe: connect: ") {
			t.Errorf("%+v", r)
		}
	})
}

func TestBenchOpenFilesLimit(t *testing.T) {
	b := &bench{Clients: 10_000}
	err := b.checkOpenFiles(10_999)
	const want = "10000 clients need 11000 open files, and the limit is 10999: raise it with ulimit -n 11000, or lower --clients"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, expected %q", err, want)
	}
	if err := b.checkOpenFiles(11_000); err != nil {
		t.Error(err)
	}
	if limit, known := openFiles(); known && limit == 0 {
		t.Error("the limit of this process is 0")
	}
}

func TestHistogramPercentiles(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i+1) * time.Microsecond
	}
	for _, tt := range []struct {
		name      string
		durations []time.Duration
		want      percentiles
	}{
		{"no value", nil, percentiles{}},
		{"one value, accurate to 0.1 %", []time.Duration{1234567 * time.Microsecond}, percentiles{1234.943, 1234.943, 1234.943, 1234.943}},
		{"small values are exact", hundred, percentiles{0.05, 0.09, 0.099, 0.1}},
		{"a negative duration is 0", []time.Duration{-time.Second}, percentiles{}},
		{"a duration above the range is its end", []time.Duration{24 * time.Hour}, percentiles{3600809.983, 3600809.983, 3600809.983, 3600809.983}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHistogram()
			for _, d := range tt.durations {
				h.add(d)
			}
			if diff := cmp.Diff(tt.want, h.percentiles()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	c := counts{connected: 10, clients: 50, messages: 100, expected: 5000}
	for _, tt := range []struct {
		connected, published, received int
		want                           string
	}{
		{10, 0, 0, "[######........................] 10/50 clients"},
		{50, 0, 0, "[..............................] 0/100 messages, 0/5000 deliveries"},
		{50, 40, 2000, "[############..................] 40/100 messages, 2000/5000 deliveries"},
		{50, 100, 5000, "[##############################] 100/100 messages, 5000/5000 deliveries"},
	} {
		c.connected, c.published, c.received = tt.connected, tt.published, tt.received
		if diff := cmp.Diff(tt.want, c.bar()); diff != "" {
			t.Error(diff)
		}
	}
	for _, tt := range []struct {
		name     string
		terminal bool
		after    time.Duration
		want     string
	}{
		{"lines at an interval and a final line", false, 12 * time.Second, "cent: 1/2 clients\ncent: 1/2 clients\ncent: 1/2 clients\n"},
		{"a bar on one line", true, 250 * time.Millisecond, strings.Repeat("\r[###############...............] 1/2 clients\x1b[K", 3) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				stop := progress(&out, tt.terminal, func() counts { return counts{connected: 1, clients: 2} })
				<-time.After(tt.after)
				stop()
				if diff := cmp.Diff(tt.want, out.String()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
