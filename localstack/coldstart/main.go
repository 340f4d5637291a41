// Command coldstart measures the size of each Lambda's bootstrap, the time from its
// start to its first call of the Lambda runtime API, and the time of a handshake with
// a warm local stack. It fails when one exceeds its limit.
//
//	coldstart ARM64-FOLDER NATIVE-FOLDER
//
// The folders hold FUNCTION/bootstrap, built for Lambda and for this machine. A machine that does
// something else meanwhile starts programs later, seldom sooner: so the shortest of several starts
// counts, and the limit is relative to that of a bootstrap that does nothing, taken in between.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/coder/websocket"

	"centrifuge/functions"
	"centrifuge/localstack/stack"
	"centrifuge/pkg/config"
)

// The limits. Users notice the cold start of a bootstrap beyond them.
const (
	maxBytes = 12 << 20
	// maxAdminBytes is the limit of the admin pages, which visitors do not load.
	// Templates make the linker keep every method.
	maxAdminBytes = 16 << 20

	// maxLater is how much later than its reference a bootstrap may start.
	maxLater     = 1500 * time.Microsecond
	maxHandshake = 50 * time.Millisecond

	starts     = 51
	handshakes = 200
)

// references are how long the bootstraps took to start before they served Centrifugo's protocol, at
// commit 058e8ca, as multiples of one that does nothing: a faster machine changes both. A function
// that came later has laterReference.
var references = map[string]float64{
	"admin": 5.5, "auth": 1.5, "broadcast": 2.4, "connect": 1.5, "demo": 1.5, "disconnect": 1.5, "dispatch": 2.3, "message": 1.4,
	"publish": 2.3, "subscribe": 1.45, "unsubscribe": 1.4, "webhook": 1.35,
}

const laterReference = 1.5

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: coldstart ARM64-FOLDER NATIVE-FOLDER")
		os.Exit(2)
	}
	if err := measure(context.Background(), os.Args[1], os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, lambda, native string, out io.Writer) error {
	bootstraps, err := filepath.Glob(filepath.Join(lambda, "*", "bootstrap"))
	if err != nil || len(bootstraps) == 0 {
		return fmt.Errorf("no bootstraps in %s: run make build", lambda)
	}
	bare, err := buildBare(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(bare) }()
	var exceeded []error
	fmt.Fprintf(out, "%-12s %10s %12s %12s %12s\n", "function", "size, MB", "start, ms", "a bare one", "limit")
	for _, bootstrap := range bootstraps {
		name := filepath.Base(filepath.Dir(bootstrap))
		info, err := os.Stat(bootstrap)
		if err != nil {
			return err
		}
		took, least, err := start(ctx, filepath.Join(native, name, "bootstrap"), bare)
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		reference := cmp.Or(references[name], laterReference)
		limit := time.Duration(reference*float64(least)) + maxLater
		verdict := "ok"
		if took > limit {
			verdict = "too slow"
			exceeded = append(exceeded, fmt.Errorf("%s starts more than %v later than its reference, %.2f times a bare bootstrap", name, maxLater, reference))
		}
		if limit := maxSize(name); info.Size() > limit {
			verdict = "too large"
			exceeded = append(exceeded, fmt.Errorf("%s is over %d MB", name, limit>>20))
		}
		fmt.Fprintf(out, "%-12s %10.1f %12.1f %12.1f %12.1f %s\n", name, float64(info.Size())/(1<<20), milliseconds(took), milliseconds(least), milliseconds(limit), verdict)
	}
	p50, p99, err := handshake(ctx)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	fmt.Fprintf(out, "handshake with a warm stack: p50 %.1f ms, p99 %.1f ms\n", milliseconds(p50), milliseconds(p99))
	if p99 > maxHandshake {
		exceeded = append(exceeded, errors.New("a handshake takes over 50 ms"))
	}
	return errors.Join(exceeded...)
}

// maxSize is the limit of a bootstrap, in bytes.
func maxSize(name string) int64 {
	if slices.ContainsFunc(functions.All, func(f functions.Function) bool { return f.Name == name && f.Option == functions.Admin }) {
		return maxAdminBytes
	}
	return maxBytes
}

// buildBare builds the bootstrap that does nothing, as make build does for this machine, and
// returns its path.
func buildBare(ctx context.Context) (string, error) {
	f, err := os.CreateTemp("", "bare")
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags=-s -w", "-o", f.Name(), "centrifuge/localstack/coldstart/bare") //nolint:gosec // a file of this program
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build a bare bootstrap: %w\n%s", err, printed)
	}
	return f.Name(), nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func percentile(d []time.Duration, percent int) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)*percent/100]
}

// start returns the shortest time from the start of a bootstrap to its first call of the runtime
// API, and that of a bare one. Their starts alternate.
func start(ctx context.Context, bootstrap, bare string) (took, least time.Duration, err error) {
	called := make(chan time.Time, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case called <- time.Now():
		default:
		}
		<-r.Context().Done() // no event: the function waits until it is killed
	})}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	shortest := func(program string, so time.Duration) (time.Duration, error) {
		once, err := startOnce(ctx, program, listener.Addr().String(), called)
		if so > 0 {
			once = min(once, so)
		}
		return once, err
	}
	for range starts {
		if took, err = shortest(bootstrap, took); err != nil {
			return 0, 0, err
		}
		if least, err = shortest(bare, least); err != nil {
			return 0, 0, err
		}
	}
	return took, least, nil
}

func startOnce(ctx context.Context, bootstrap, runtime string, called <-chan time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("no call of the runtime API within 10 s"))
	defer cancel()
	cmd := exec.CommandContext(ctx, bootstrap)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + runtime,
		config.Table + "=centrifuge", config.Region + "=us-east-1", config.AccessKeyID + "=x", config.SecretAccessKey + "=x",
		config.ManagementURL + "=https://abcdef1234.execute-api.us-east-1.amazonaws.com/dev",
		config.DispatchFunction + "=centrifuge-dev-dispatch", config.PingFunction + "=centrifuge-dev-ping",
	}
	if sdk := filepath.Join(filepath.Dir(bootstrap), functions.SDK); exists(sdk) {
		cmd.Env = append(cmd.Env, config.SDK+"="+sdk)
	}
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	select {
	case at := <-called:
		return at.Sub(began), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// handshake measures $connect on a warm stack, as a client sees it.
func handshake(ctx context.Context) (p50, p99 time.Duration, err error) {
	s, err := stack.Start(ctx, stack.Options{Progress: os.Stderr})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	took := make([]time.Duration, handshakes)
	for i := range took {
		began := time.Now()
		conn, _, err := websocket.Dial(ctx, s.WebSocketURL, nil)
		if err != nil {
			return 0, 0, err
		}
		took[i] = time.Since(began)
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			return 0, 0, err
		}
	}
	took = took[10:] // the stack is warm after these
	return percentile(took, 50), percentile(took, 99), nil
}
