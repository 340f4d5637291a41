// Command localstack runs Centrifuge on one machine, invokes single functions and
// writes projects into tables on AWS. "make run", "make invoke" and "make seed" call
// it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage:
  localstack                         run the service until interrupted
  localstack invoke FUNCTION EVENT   invoke one function with an event from a file
  localstack seed TABLE FILE         write projects into a table on AWS, where they are absent

Environment:
  HOST               0.0.0.0 opens the service to the local network (default 127.0.0.1)
  PORT               the port (default 8080)
  LISTEN             host and port together, such as 127.0.0.1:8000, instead of HOST and PORT
  SEED               a file with projects that are created where they are absent (default localstack/seed.json)
  DATA_DIR           the folder of the data (default .data)
  DYNAMODB_ENDPOINT  the address of a running DynamoDB (default: start one)
  DEFAULT_PROJECT    the project of Centrifugo's clients whose URL names none (default demo)
  JITTER             the longest random delay of a frame or post, such as 50ms (default 0s)
  LAMBDA             process runs each function as processes, as Lambda does (default: in one process)
  LOG_LEVEL          debug, info, warn or error (default debug, which logs every event)
  QUIET              1 logs failures only, as JSON lines
  NO_COLOR           1 logs without colours
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("unknown arguments, see --help")

func command(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	switch {
	case len(args) == 0:
		return run(ctx, getenv, stdout, stderr)
	case args[0] == "invoke" && len(args) == 3:
		return invoke(ctx, args[1], args[2], getenv, stdout, stderr)
	case args[0] == "seed" && len(args) == 3:
		return seedTable(ctx, args[1], args[2], stdout)
	case args[0] == "--help" || args[0] == "-h" || args[0] == "help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	return errUsage
}
