// Command oracle holds the local stack against Go libraries of Centrifugo, as they are in the
// module cache: it runs their own tests, unmodified, and calls every method of the server API
// with gocent. Nothing of them is in this repository.
//
//	go run ./localstack/oracle
//
// The stack listens where these libraries expect Centrifugo: on port 8000. Its projects are
// those of seed.json. The working directory is the repository.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"centrifuge/localstack/stack"
)

// address is where Centrifugo listens by default.
const address = "127.0.0.1:8000"

// seedFile is relative to the repository.
const seedFile = "localstack/oracle/seed.json"

// suites are the libraries whose tests are run.
var suites = []suite{
	{Module: "github.com/centrifugal/gocent/v3", Version: "v3.4.0"},
	{Module: "github.com/centrifugal/centrifuge-go", Version: "v0.10.12", Absent: []absence{
		{"TestSuccessfulConnect", binary}, {"TestDisconnect", binary}, {"TestPublishProtobuf", binary}, {"TestHandlePublishFossil", delta},
	}},
}

// API Gateway closes a connection that sends binary frames, and posts may overtake each other.
const (
	binary = "it uses the Protobuf form of the protocol, whose frames are binary"
	delta  = "it requires delta compression, which needs posts in their order; half of it is Protobuf"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run runs all suites and conversations, and prints a line for each.
func run(ctx context.Context) (err error) {
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	s, err := stack.Start(ctx, stack.Options{Addr: address, Seed: seed, DefaultProject: "insecure", Log: os.Stderr, Progress: os.Stderr, LogLevel: "error"})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use: these tests expect Centrifugo there", address)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var failed []error
	for _, suite := range suites {
		o, err := suite.run(ctx)
		if err == nil {
			err = o.check()
		}
		fmt.Println(o.report(suite, err))
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", suite.Module, err))
		}
	}
	slowest, calls, err := converse(ctx, s)
	if err != nil {
		failed = append(failed, fmt.Errorf("conversation with gocent: %w", err))
	} else {
		fmt.Printf("ok    conversation with gocent: %d calls, the slowest %s in %s\n", calls, slowest.name, slowest.took.Round(100*time.Microsecond))
	}
	return errors.Join(failed...)
}

// report is what is printed of a suite.
func (o outcome) report(s suite, err error) string {
	var b strings.Builder
	verdict := "ok  "
	if err != nil {
		verdict = "FAIL"
	}
	fmt.Fprintf(&b, "%s  %s %s: %d passed, %d failed, %d skipped, %d not applicable", verdict, s.Module, s.Version,
		len(o.passed), len(o.failed), len(o.skipped), len(s.Absent))
	for _, list := range []struct {
		what  string
		names []string
	}{{"passed", o.passed}, {"failed", o.failed}, {"skipped", o.skipped}} {
		if len(list.names) > 0 {
			fmt.Fprintf(&b, "\n      %s: %s", list.what, strings.Join(list.names, ", "))
		}
	}
	for _, absent := range s.Absent {
		fmt.Fprintf(&b, "\n      not applicable: %s: %s", absent.Test, absent.Reason)
	}
	return b.String()
}
