// Command deploy brings the CDK stack to where it can be tried, and plays the
// conversations of localstack/e2e there.
//
//	deploy ministack                       all of it on MiniStack, once, and away again
//	deploy localstack up|deploy|test|down  the same by steps, on LocalStack
//	deploy smoke                           the conversations on what is deployed on AWS
//
// It is what "make test-deploy", "make localstack-…" and "make smoke" call, from
// the top of the repository. It deploys what infra/ synthesizes; what an emulator
// makes it change in that is in workaround.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// patience is how long all of it may take, with what has to be installed.
const patience = 15 * time.Minute

const usage = `Usage:
  deploy ministack                       deploy on MiniStack, play the conversations, destroy
  deploy localstack up|deploy|test|down  the same by steps, on LocalStack
  deploy smoke                           play the conversations on what "make deploy" deployed

Environment:
  LOCALSTACK_AUTH_TOKEN                  what LocalStack wants
  E2E_PROJECT, E2E_SECRET, E2E_API_KEY   the project that smoke uses
                                         (default demo, demo-secret, demo-key)
`

// errUsage: the arguments are not those of a command.
var errUsage = errors.New("unknown arguments, see --help")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	bounded, cancel := context.WithTimeout(ctx, patience)
	err := command(bounded, os.Args[1:], os.Getenv, os.Stdout)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "ministack":
		return testOnMiniStack(ctx, out)
	case len(args) == 2 && args[0] == "localstack":
		return onLocal(ctx, args[1], getenv, out)
	case len(args) == 1 && args[0] == "smoke":
		return smoke(ctx, getenv, out)
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help"):
		_, err := io.WriteString(out, usage)
		return err
	}
	return errUsage
}
