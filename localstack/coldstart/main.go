// Command coldstart measures the size of each Lambda's bootstrap, the time from its
// start to its first call of the Lambda runtime API, and the time of a handshake with
// a warm local stack. It fails when one exceeds its limit.
//
//	coldstart ARM64-FOLDER NATIVE-FOLDER
//
// The folders hold FUNCTION/bootstrap, built for Lambda and for this machine.
package main

import (
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

	maxStart     = 50 * time.Millisecond
	maxHandshake = 50 * time.Millisecond

	starts     = 9
	handshakes = 200
)

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
	var exceeded []error
	fmt.Fprintf(out, "%-12s %14s %24s\n", "function", "size, MB", "start, ms (median of 9)")
	for _, bootstrap := range bootstraps {
		name := filepath.Base(filepath.Dir(bootstrap))
		info, err := os.Stat(bootstrap)
		if err != nil {
			return err
		}
		took, err := start(ctx, filepath.Join(native, name, "bootstrap"))
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		fmt.Fprintf(out, "%-12s %14.1f %24.1f\n", name, float64(info.Size())/(1<<20), milliseconds(took))
		limit := int64(maxBytes)
		if slices.ContainsFunc(functions.All, func(f functions.Function) bool { return f.Name == name && f.Option == functions.Admin }) {
			limit = maxAdminBytes
		}
		if info.Size() > limit {
			exceeded = append(exceeded, fmt.Errorf("%s is over %d MB", name, limit>>20))
		}
		if took > maxStart {
			exceeded = append(exceeded, fmt.Errorf("%s takes over 50 ms to start", name))
		}
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

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func percentile(d []time.Duration, percent int) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)*percent/100]
}

// start returns the median time from the start of a bootstrap to its first call of
// the runtime API.
func start(ctx context.Context, bootstrap string) (time.Duration, error) {
	called := make(chan time.Time, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
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

	took := make([]time.Duration, starts)
	for i := range took {
		if took[i], err = startOnce(ctx, bootstrap, listener.Addr().String(), called); err != nil {
			return 0, err
		}
	}
	return percentile(took, 50), nil
}

func startOnce(ctx context.Context, bootstrap, runtime string, called <-chan time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("no call of the runtime API within 10 s"))
	defer cancel()
	cmd := exec.CommandContext(ctx, bootstrap)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + runtime,
		config.Table + "=centrifuge", config.Region + "=us-east-1", config.AccessKeyID + "=x", config.SecretAccessKey + "=x",
		config.ManagementURL + "=https://abcdef1234.execute-api.us-east-1.amazonaws.com/dev",
		config.DispatchFunction + "=centrifuge-dev-dispatch",
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
