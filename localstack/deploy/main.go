// Command deploy deploys the CDK stack on an emulator of AWS and runs the
// conversations of localstack/e2e against it.
//
//	deploy ministack PYTHON                deploy, test and destroy on MiniStack
//	deploy localstack up|deploy|test|down  the same in steps, on LocalStack; test takes PYTHON too
//	deploy admin-password                  set the admin password of a stack on AWS
//	deploy smoke                           run the conversations against a stack on AWS
//	deploy probe                           ask and measure what AWS does not document
//
// "make test-deploy", "make localstack-…", "make admin-password", "make smoke" and "make
// probe" call it in the top folder of the repository. It deploys the template that infra/
// synthesizes, with the changes of workaround.go. PYTHON is a virtual environment with
// localstack/clients/python/requirements.txt.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// timeout limits a command, including installations. probeTimeout limits deploy probe,
// which may wait for the idle time and for a deployment.
const (
	timeout      = 15 * time.Minute
	probeTimeout = 40 * time.Minute
)

const usage = `Usage:
  deploy ministack PYTHON                deploy on MiniStack, run the conversations, destroy
  deploy localstack up|deploy|down       the same in steps, on LocalStack
  deploy localstack test PYTHON
  deploy admin-password                  give the stack of "make deploy" a new admin password, and
                                         print it: it is stored nowhere; earlier sessions end
  deploy smoke                           run the conversations against the stack of "make deploy"
  deploy probe [--yes] [--idle] [--deploy COMMAND] [--failure URL]
                                         ask that stack what AWS does not document, and measure
  PYTHON is a virtual environment with localstack/clients/python/requirements.txt

Options of probe:
  --yes                                  do not ask before it costs a few cents
  --idle                                 include the idle time, which takes 11 minutes
  --deploy COMMAND                       run this shell command while a client is connected,
                                         such as "make deploy MONITORING=false"
  --failure URL                          the WebSocketURL of localstack/probe/failure.json

Environment:
  LOCALSTACK_AUTH_TOKEN                  required by LocalStack
  AWS_REGION, AWS_PROFILE, …             the region and the credentials of the deployment, for
                                         admin-password and probe, as the AWS SDK reads them
  E2E_PROJECT, E2E_SECRET, E2E_API_KEY   the project for smoke and probe
                                         (default demo, demo-secret, demo-key)
  E2E_LACKS                              a JSON object: parts of the conversations that smoke leaves
                                         out, each with the reason, such as {"size-limits":"a proxy"}
`

// errUsage is returned for unknown arguments.
var errUsage = errors.New("unknown arguments: run deploy --help")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process immediately
	limit := timeout
	if len(os.Args) > 1 && os.Args[1] == "probe" {
		limit = probeTimeout
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	err := command(bounded, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, notes io.Writer) error {
	switch {
	case slices.Contains(args, "--help") || slices.Contains(args, "-h") || len(args) == 1 && args[0] == "help":
		_, err := io.WriteString(out, usage)
		return err
	case len(args) == 2 && args[0] == "ministack":
		return testOnMiniStack(ctx, args[1], out)
	case len(args) >= 2 && args[0] == "localstack":
		return localstackCommand(ctx, args[1:], getenv, out)
	case len(args) == 1 && args[0] == "admin-password":
		return setAdminPassword(ctx, outputsPath, out, notes)
	case len(args) == 1 && args[0] == "smoke":
		return smoke(ctx, getenv, out)
	case len(args) > 0 && args[0] == "probe":
		return probeAWS(ctx, args[1:], getenv, in, out)
	}
	return errUsage
}
