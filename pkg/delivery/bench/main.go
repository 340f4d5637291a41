// Command bench measures the cost of one post to a connection, and compares delivery with
// its targets: at least twice the posts per second of the SDK at the same concurrency, and
// at least 0.7 times those of net/http without a signature.
//
// It starts itself in other processes: as the management API (serve), so that the work of
// the server is not counted, and as the measured client (measure), once for each number of
// CPUs. The variants alternate for several rounds and the medians count, because a shared
// machine is noisy. It exits with 1 when a target is missed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The targets.
const (
	overSDK    = 2.0
	ofTheLimit = 0.7
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 0:
		return compare()
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) == 2 && args[0] == "measure":
		result, err := measure(context.Background(), args[1])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	return errors.New("too many arguments: bench takes none")
}

// compare measures all variants, prints the results and checks the targets.
func compare() error {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	address, stop, err := startServer(ctx, exe)
	if err != nil {
		return err
	}
	defer stop()

	fmt.Printf("Posts of %d bytes at concurrency %d to a server in another process, medians of interleaved rounds.\nThe credentials have a session token of 800 bytes, as a Lambda's do.\n", messageBytes, concurrency)
	met := true
	for _, cpus := range []string{"1", "2"} {
		child := exec.CommandContext(ctx, exe, "measure", address)
		child.Env = append(os.Environ(), "GOMAXPROCS="+cpus)
		child.Stderr = os.Stderr
		out, err := child.Output()
		if err != nil {
			return fmt.Errorf("measure at %s CPUs: %w", cpus, err)
		}
		var r result
		if err := json.Unmarshal(out, &r); err != nil {
			return fmt.Errorf("measure at %s CPUs: %w", cpus, err)
		}
		met = report(cpus, r) && met
	}
	if !met {
		return errors.New("a target was missed")
	}
	return nil
}

func report(cpus string, r result) bool {
	fmt.Printf("\nGOMAXPROCS=%s%s%12s%12s%12s%10s\n", cpus, strings.Repeat(" ", 27), "posts/s", "CPU µs/post", "allocs/post", "B/post")
	for _, v := range variants {
		s := r.Variants[v.name]
		fmt.Printf("  %-37s%12.0f%12.1f%12.0f%10.0f\n", v.name, s.PerSecond, s.CPUMicros, s.Allocs, s.Bytes)
	}
	a := verdict("ours / SDK at the same concurrency", r.OverSDK, overSDK)
	b := verdict("ours / limit", r.OfTheLimit, ofTheLimit)
	return a && b
}

func verdict(what string, ratio, target float64) bool {
	outcome := "ok"
	if ratio < target {
		outcome = "MISSED"
	}
	fmt.Printf("  %s = %.2f (at least %g): %s\n", what, ratio, target, outcome)
	return ratio >= target
}

// startServer starts the server process and returns its address.
func startServer(ctx context.Context, exe string) (address string, stop func(), err error) {
	child := exec.CommandContext(ctx, exe, "serve")
	child.Env = append(os.Environ(), "GOMAXPROCS=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if _, err := child.StdinPipe(); err != nil { // open until this process ends
		return "", nil, err
	}
	if err := child.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start server: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
