// Package dynoxide runs a DynamoDB on this machine for the local stack and for
// tests: the dynoxide binary, one process on SQLite, which it installs from npm
// on first use.
//
// It knows nothing of tables. dynoxide never deletes expired items and treats
// every read as consistent, so what is proven on it of expiry and consistency is
// proven of our own filters, not of AWS.
package dynoxide

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"

	"centrifuge/localstack/npm"
	"centrifuge/localstack/process"
	"centrifuge/pkg/config"
)

// wayOut is what helps where dynoxide cannot be had.
const wayOut = "set " + config.DynamoDBEndpoint + " to another DynamoDB, such as DynamoDB Local"

// platform is the only one whose package is known to exist. Another is added to
// localstack/package.json, and here, once it does.
const platform = "linux-x64"

var binary = npm.Package{Folder: "localstack", Name: "@dynoxide/" + platform, File: "dynoxide", WayOut: wayOut}

// Options say how a Server runs. The zero value keeps everything in memory and
// says nothing.
type Options struct {
	// Path is the SQLite file that holds the data, in a folder that exists; the file
	// is made when absent. "" keeps the data in memory until Stop.
	Path string
	// Log receives what the process prints. nil discards it.
	Log io.Writer
	// Progress receives what npm prints while the binary is being installed. nil
	// discards it.
	Progress io.Writer
}

// Server is a running dynoxide process. It is safe for concurrent use.
type Server struct {
	endpoint string
	process  *process.Process
}

// Start installs dynoxide where it is missing, starts it on a free port of
// 127.0.0.1 and returns when it answers. ctx bounds the start alone, the
// installation included: a started server runs until Stop, or until this process
// ends in whatever way (on Linux; elsewhere until Stop).
//
// It fails where npm or a package for this platform is missing, naming
// DYNAMODB_ENDPOINT as the way out, and with what the process printed when that
// ends at once.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("install dynoxide: it is only known to exist for %s, not for %s/%s: %s", platform, runtime.GOOS, runtime.GOARCH, wayOut)
	}
	path, err := binary.Install(ctx, o.Progress)
	if err != nil {
		return nil, fmt.Errorf("install dynoxide: %w", err)
	}
	s, err := process.OnFreePort(ctx, func(port int) (*Server, error) { return start(ctx, path, port, o) })
	if err != nil {
		return nil, fmt.Errorf("start dynoxide: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, path string, port int, o Options) (*Server, error) {
	args := []string{"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port)}
	if o.Path != "" {
		args = append(args, "--db-path", o.Path)
	}
	p, err := process.Start(exec.Command(path, args...), process.Options{Log: o.Log, Ready: "listening on"})
	if err != nil {
		return nil, err
	}
	s := &Server{endpoint: "http://127.0.0.1:" + strconv.Itoa(port), process: p}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// ready waits until the process says that it listens, which an answer on the port
// would not prove: that could be somebody else's. Then it waits for an answer. Where
// it fails the process is gone.
func (s *Server) ready(ctx context.Context) error {
	select {
	case <-s.process.Ready():
	case <-s.process.Done():
		return s.process.PortError()
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.process.Stop())
	}
	status, err := process.Ask(ctx, s.endpoint)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("health check: status %d", status)
	}
	if err != nil {
		return errors.Join(err, s.process.Stop())
	}
	return nil
}

// Endpoint is the address to give to a DynamoDB client: http://127.0.0.1:PORT.
func (s *Server) Endpoint() string { return s.endpoint }

// Stop ends the process and returns when it is gone, its data written. It fails
// when the process had ended on its own before, with what it printed. Further
// calls return what the first did.
func (s *Server) Stop() error { return s.process.Stop() }
