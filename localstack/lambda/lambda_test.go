package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/lambda"
)

// startVariable makes the test binary a bootstrap that starts in this way.
const startVariable = "TEST_START"

func TestMain(m *testing.M) {
	switch os.Getenv(startVariable) {
	case "":
		os.Exit(m.Run())
	case "serve":
		awslambda.Start(handle)
	case "exit":
		fmt.Println("cannot start")
		os.Exit(3)
	case "report":
		url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
		body := strings.NewReader(`{"errorType":"Test.Start","errorMessage":"no configuration"}`)
		if _, err := http.Post(url, "application/json", body); err != nil { //nolint:gosec // the test made the URL
			fmt.Println(err)
		}
		select {}
	}
}

// event tells the function of these tests what to do.
type event struct {
	// Do is "" to answer with the name of the process.
	Do string
	// URL is requested first, After after the answer. The test answers when it wants.
	URL, After string
}

// working is an answer of JSON that is followed by a request to URL.
type working struct {
	io.Reader `json:"-"`
	url       string
}

func (w working) ContentType() string { return "application/json" }

func (w working) Close() error {
	_, err := http.Get(w.url)
	return err
}

func handle(ctx context.Context, e event) (any, error) {
	if e.URL != "" {
		if _, err := http.Get(e.URL); err != nil {
			return nil, err
		}
	}
	if e.After != "" {
		return working{strings.NewReader(`"answered"`), e.After}, nil
	}
	switch e.Do {
	case "fail":
		return nil, errors.New("no luck")
	case "panic":
		panic("no luck")
	case "exit":
		os.Exit(7)
	case "hang":
		fmt.Println("it hangs")
		select {}
	case "large":
		return strings.Repeat("x", 6<<20), nil
	case "context":
		deadline, _ := ctx.Deadline()
		lc, _ := lambdacontext.FromContext(ctx)
		return map[string]any{"deadline": deadline.UnixMilli(), "arn": lc.InvokedFunctionArn, "trace": os.Getenv("_X_AMZN_TRACE_ID")}, nil
	case "pid":
		return os.Getpid(), nil
	case "environment":
		var names []string
		for _, v := range os.Environ() {
			name, _, _ := strings.Cut(v, "=")
			names = append(names, name)
		}
		slices.Sort(names)
		return names, nil
	}
	return os.Getenv("AWS_ACCESS_KEY_ID"), nil
}

// log is the log of a function.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

var (
	ids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	numbers = regexp.MustCompile(`[0-9]+(\.[0-9]+)? ms`)
)

// lines are the lines so far, with ID and N in place of request ids and durations.
func (l *log) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := numbers.ReplaceAllString(ids.ReplaceAllString(l.b.String(), "ID"), "N ms")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// start starts a service with one function, whose process starts in the given way.
func start(t *testing.T, o lambda.Options, how string) (*lambda.Service, *lambda.Function, *log) {
	t.Helper()
	s, err := lambda.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	bootstrap, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := &log{}
	return s, s.New(lambda.Configuration{
		Name: "echo", Bootstrap: bootstrap, MemoryMB: 256, Log: l,
		Environment: map[string]string{startVariable: how, "AWS_REGION": "cannot be replaced"},
	}), l
}

func encode(t *testing.T, e event) []byte {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// invoke invokes the function and decodes the response.
func invoke[T any](t *testing.T, f *lambda.Function, e event) (response T) {
	t.Helper()
	b, err := f.Invoke(t.Context(), encode(t, e))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &response); err != nil {
		t.Fatal(err)
	}
	return response
}

func TestInvoke(t *testing.T) {
	_, f, log := start(t, lambda.Options{}, "serve")
	for range 2 {
		if got := invoke[string](t, f, event{}); got != "echo.1" {
			t.Errorf("response of %s, want one of the first process", got)
		}
	}
	want := []string{
		"INIT_START Runtime Version: provided:al2023",
		"START RequestId: ID Version: $LATEST",
		"END RequestId: ID",
		"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 256 MB\tInit Duration: N ms",
		"START RequestId: ID Version: $LATEST",
		"END RequestId: ID",
		"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 256 MB",
	}
	if diff := cmp.Diff(want, log.lines()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	_, f, _ := start(t, lambda.Options{}, "serve")
	want := []string{
		"AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
		"AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
		"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LANG", "PATH", startVariable, "TZ", "_HANDLER", "_X_AMZN_TRACE_ID",
	}
	if diff := cmp.Diff(want, invoke[[]string](t, f, event{Do: "environment"})); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	before := time.Now()
	got := invoke[struct {
		Deadline   int64
		ARN, Trace string
	}](t, f, event{Do: "context"})
	deadline := time.UnixMilli(got.Deadline)
	if deadline.Before(before.Add(lambda.DefaultTimeout).Truncate(time.Millisecond)) || deadline.After(time.Now().Add(lambda.DefaultTimeout)) {
		t.Errorf("deadline %v, want 29 s after the start of the invocation", deadline)
	}
	if got.ARN != "arn:aws:lambda:us-east-1:000000000000:function:echo" || !strings.HasPrefix(got.Trace, "Root=1-") {
		t.Errorf("ARN %s, trace %s", got.ARN, got.Trace)
	}
}

// TestFailures fails an invocation, and checks the error, the log and the process of
// the next invocation.
func TestFailures(t *testing.T) {
	const initStart, begin, end = "INIT_START Runtime Version: provided:al2023", "START RequestId: ID Version: $LATEST", "END RequestId: ID"
	const firstReport = "REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 256 MB\tInit Duration: N ms"
	for _, tt := range []struct {
		name, start, do string
		timeout         time.Duration
		is              error
		says            string
		log             []string // all but what the function printed
		next            string   // the process of the next invocation, "" for none
	}{
		{
			name: "error", start: "serve", do: "fail", says: "errorString: no luck", next: "echo.1",
			log: []string{initStart, begin, end, firstReport + "\tStatus: error\tError Type: errorString"},
		},
		{
			name: "panic", start: "serve", do: "panic", says: "string: no luck", next: "echo.2",
			log: []string{initStart, begin, end, firstReport + "\tStatus: error\tError Type: string"},
		},
		{
			name: "exit", start: "serve", do: "exit", is: lambda.ErrExited, says: "Runtime exited with error: exit status 7", next: "echo.2",
			log: []string{initStart, begin, end, firstReport + "\tStatus: error\tError Type: Runtime.ExitError"},
		},
		{
			name: "timeout", start: "serve", do: "hang", timeout: time.Second, is: lambda.ErrTimeout, says: "timed out after 1s", next: "echo.2",
			log: []string{initStart, begin, end, firstReport + "\tStatus: timeout"},
		},
		{
			name: "response over 6 MB", start: "serve", do: "large", says: "Function.ResponseSizeTooLarge", next: "echo.2",
			log: []string{initStart, begin, end, firstReport + "\tStatus: error\tError Type: Function.ResponseSizeTooLarge"},
		},
		{
			name: "exit at the start", start: "exit", is: lambda.ErrExited, says: "exit status 3",
			log: []string{
				initStart, "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError", begin, end,
				"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 256 MB\tStatus: error\tError Type: Runtime.ExitError",
			},
		},
		{
			name: "error at the start", start: "report", is: lambda.ErrExited, says: "Test.Start: no configuration",
			log: []string{
				initStart, "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Test.Start", begin, end,
				"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 256 MB\tStatus: error\tError Type: Test.Start",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, f, log := start(t, lambda.Options{Timeout: tt.timeout}, tt.start)
			_, err := f.Invoke(t.Context(), encode(t, event{Do: tt.do}))
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %v that says %q", err, tt.is, tt.says)
			}
			var returned *lambda.FunctionError
			if tt.is == nil && !errors.As(err, &returned) {
				t.Errorf("error %v, want a FunctionError", err)
			}
			lines := slices.DeleteFunc(log.lines(), func(l string) bool {
				return !slices.ContainsFunc([]string{"INIT_START ", "INIT_REPORT ", "START ", "END ", "REPORT "}, func(p string) bool { return strings.HasPrefix(l, p) })
			})
			if diff := cmp.Diff(tt.log, lines); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if tt.next != "" {
				if got := invoke[string](t, f, event{}); got != tt.next {
					t.Errorf("next response of %s, want %s", got, tt.next)
				}
			}
		})
	}
}

func TestOutputIsLogged(t *testing.T) {
	_, f, log := start(t, lambda.Options{Timeout: time.Second}, "serve")
	if _, err := f.Invoke(t.Context(), encode(t, event{Do: "hang"})); !errors.Is(err, lambda.ErrTimeout) {
		t.Error(err)
	}
	if lines := log.lines(); lines[2] != "it hangs" {
		t.Errorf("log %q", lines)
	}
}

// gate answers requests when the test lets it.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
	url     string
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	g.url = serve(t, func(http.ResponseWriter, *http.Request) {
		g.arrived <- struct{}{}
		<-g.open
	})
	return g
}

// TestConcurrency holds two invocations, which have a process each. A third is
// throttled. An asynchronous one waits.
func TestConcurrency(t *testing.T) {
	_, f, _ := start(t, lambda.Options{Concurrency: 2}, "serve")
	g := newGate(t)
	held := encode(t, event{URL: g.url})
	responses := make(chan string, 2)
	for range 2 {
		go func() {
			b, err := f.Invoke(context.Background(), held)
			responses <- fmt.Sprintf("%s %v", b, err)
		}()
		<-g.arrived
	}
	if _, err := f.Invoke(t.Context(), encode(t, event{})); !errors.Is(err, lambda.ErrThrottled) {
		t.Errorf("error %v, want ErrThrottled", err)
	}
	if err := f.InvokeAsync(held); err != nil {
		t.Fatal(err)
	}
	g.open <- struct{}{}
	g.open <- struct{}{}
	got := []string{<-responses, <-responses}
	slices.Sort(got)
	if diff := cmp.Diff([]string{`"echo.1" <nil>`, `"echo.2" <nil>`}, got); diff != "" {
		t.Errorf("responses (-want +got):\n%s", diff)
	}
	<-g.arrived // the asynchronous one
	g.open <- struct{}{}
}

// TestWorkAfterAnswer holds a process in work after its answer. Its caller has the answer,
// and another invocation gets another process. Then the work ends, or the process is
// killed.
func TestWorkAfterAnswer(t *testing.T) {
	for name, killed := range map[string]bool{"the work ends": false, "the process is killed": true} {
		t.Run(name, func(t *testing.T) {
			s, f, log := start(t, lambda.Options{Concurrency: 2}, "serve")
			g, other := newGate(t), newGate(t)
			if got := invoke[string](t, f, event{After: g.url}); got != "answered" {
				t.Errorf("answer %q", got)
			}
			<-g.arrived
			// The other process stays busy until the end.
			held := make(chan string)
			go func() {
				b, err := f.Invoke(context.Background(), encode(t, event{URL: other.url}))
				held <- fmt.Sprintf("%s %v", b, err)
			}()
			<-other.arrived
			if _, err := f.Invoke(t.Context(), encode(t, event{})); !errors.Is(err, lambda.ErrThrottled) {
				t.Errorf("error %v, want ErrThrottled", err)
			}
			if killed {
				s.Kill("echo.1")
			}
			g.open <- struct{}{}
			// An asynchronous invocation waits for the first process.
			after := newGate(t)
			if err := f.InvokeAsync(encode(t, event{URL: after.url})); err != nil {
				t.Fatal(err)
			}
			<-after.arrived
			after.open <- struct{}{}
			other.open <- struct{}{}
			if got := <-held; got != `"echo.2" <nil>` {
				t.Errorf("the other process answered %s", got)
			}
			if err := s.Close(); err != nil { // it waits
				t.Fatal(err)
			}
			lines := log.lines()
			failed := slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, "\tStatus: error\tError Type: Runtime.ExitError") })
			if failed != killed {
				t.Errorf("a process that exited is reported: %v, log %q", failed, lines)
			}
		})
	}
}

func TestKill(t *testing.T) {
	s, f, log := start(t, lambda.Options{}, "serve")
	g := newGate(t)
	failed := make(chan error)
	go func() {
		_, err := f.Invoke(context.Background(), encode(t, event{URL: g.url}))
		failed <- err
	}()
	<-g.arrived
	s.Kill("echo.7") // there is no such process
	s.Kill("echo.1")
	if err := <-failed; !errors.Is(err, lambda.ErrExited) || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("error %v, want ErrExited", err)
	}
	if last := log.lines(); !strings.HasSuffix(last[len(last)-1], "Status: error\tError Type: Runtime.ExitError") {
		t.Errorf("log %q", last)
	}
	close(g.open)
	if got := invoke[string](t, f, event{}); got != "echo.2" {
		t.Errorf("response of %s", got)
	}
	// An idle process that dies is replaced.
	s.Kill("echo.2")
	if got := invoke[string](t, f, event{}); got != "echo.3" {
		t.Errorf("response of %s", got)
	}
}

func TestAsync(t *testing.T) {
	for _, tt := range []struct {
		name     string
		failures int // then it succeeds
		dead     bool
	}{{"success", 0, false}, {"two failures", 2, false}, {"three failures", 3, true}} {
		t.Run(tt.name, func(t *testing.T) {
			dead := make(chan lambda.DeadLetter, 1)
			s, f, log := start(t, lambda.Options{QueueOptions: lambda.QueueOptions{
				RetryDelays: [2]time.Duration{time.Nanosecond, time.Nanosecond},
				DeadLetter:  func(d lambda.DeadLetter) { dead <- d },
			}}, "serve")
			var requests atomic.Int32
			url := serve(t, func(http.ResponseWriter, *http.Request) {
				if int(requests.Add(1)) <= tt.failures {
					panic(http.ErrAbortHandler)
				}
			})
			payload := encode(t, event{URL: url})
			if err := f.InvokeAsync(payload); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil { // it waits
				t.Fatal(err)
			}
			if got, want := int(requests.Load()), min(tt.failures+1, 3); got != want {
				t.Errorf("%d attempts, want %d", got, want)
			}
			log.mu.Lock()
			found := ids.FindAllString(log.b.String(), -1)
			log.mu.Unlock()
			if slices.Sort(found); len(slices.Compact(found)) != 1 {
				t.Errorf("request ids %v, want one", found)
			}
			select {
			case d := <-dead:
				var returned *lambda.FunctionError
				if !tt.dead || d.Function != "echo" || string(d.Event) != string(payload) || d.RequestID != found[0] || !errors.As(d.Err, &returned) {
					t.Errorf("dead letter %+v", d)
				}
			default:
				if tt.dead {
					t.Error("no dead letter")
				}
			}
			if err := f.InvokeAsync(payload); err == nil {
				t.Error("a closed service took an event")
			}
			if _, err := f.Invoke(t.Context(), payload); err == nil {
				t.Error("a closed service took an event")
			}
		})
	}
}

// TestRuntimeAPI makes requests that no runtime makes.
func TestRuntimeAPI(t *testing.T) {
	_, f, _ := start(t, lambda.Options{}, "serve")
	invoke[string](t, f, event{})
	for path, want := range map[string]int{
		"/other.1/2018-06-01/runtime/invocation/next":       http.StatusForbidden,
		"/echo.1/2018-06-01/runtime/invocation/id/response": http.StatusBadRequest,
		"/echo.1/2018-06-01/runtime/invocation/id/error":    http.StatusBadRequest,
		"/echo.1/2015-03-31/runtime/invocation/next":        http.StatusNotFound,
	} {
		method := http.MethodPost
		if strings.HasSuffix(path, "next") {
			method = http.MethodGet
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+f.RuntimeAPI()+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, w.Body)
		w.Body.Close()
		if w.StatusCode != want {
			t.Errorf("%s %s: status %d, want %d", method, path, w.StatusCode, want)
		}
	}
}

// serve starts a server that ends with the test, and returns its URL.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
