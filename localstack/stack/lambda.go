package stack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"centrifuge/functions"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/iam"
	"centrifuge/localstack/lambda"
	"centrifuge/pkg/app"
	"centrifuge/pkg/config"
)

// awsPath is the path of the services as functions see them that run as processes.
const awsPath = "/_aws"

// Lambda configures functions that run as processes, with the rights of
// functions/routes.go.
type Lambda struct {
	// Bootstraps is the folder with the bootstraps: NAME/bootstrap, or the file NAME.
	Bootstraps string
	// Options are the limits. Without a DeadLetter, events that failed in every attempt
	// are logged, without their detail.
	Options lambda.Options
	// Environment are further environment variables of all functions.
	Environment map[string]string
	// Faults, if set, injects the death of processes.
	Faults func(iam.Request) iam.Fault
}

// startLambda starts the service that runs processes and returns its functions.
func (s *Stack) startLambda(ctx context.Context, o Options) (map[string]gateway.Function, error) {
	service := o.Lambda.Options
	if service.DeadLetter == nil {
		service.DeadLetter = deadLetter(app.NewLog(o.Log, slog.LevelInfo))
	}
	var err error
	if s.Lambda, err = lambda.Start(ctx, service); err != nil {
		return nil, err
	}
	var output sync.Mutex
	all := make(map[string]gateway.Function, len(functions.All))
	for _, f := range functions.All {
		bootstrap, err := findBootstrap(o.Lambda.Bootstraps, f.Name)
		if err != nil {
			return nil, err
		}
		all[f.Name] = s.Lambda.New(lambda.Configuration{
			Name: f.Name, Bootstrap: bootstrap, MemoryMB: f.MemoryMB,
			Environment: s.processEnvironment(o, f), Log: &prefixed{mu: &output, w: o.Log, prefix: "[" + f.Name + "] "},
		})
	}
	return all, nil
}

func findBootstrap(folder, function string) (string, error) {
	for _, path := range []string{filepath.Join(folder, function, "bootstrap"), filepath.Join(folder, function)} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("function %s is not built in %s: run make build BUILD=%s GOARCH_LAMBDA=$(go env GOARCH)", function, folder, folder)
}

// processEnvironment is the environment of a function that runs as a process: that of
// its deployment, and what only this machine needs.
func (s *Stack) processEnvironment(o Options, f functions.Function) map[string]string {
	aws := s.localURL + awsPath
	env := f.Environment(functions.Addresses{
		Table: cmp.Or(o.Table, Table), EventBus: Table, MetricsNamespace: o.MetricsNamespace,
		ManagementURL: aws + iam.ManagementPath + "/" + Stage, WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, DispatchFunction: functions.Dispatch,
		PingFunction: functions.Ping, DefaultProject: o.DefaultProject,
	})
	env[config.DynamoDBEndpoint] = aws + iam.DynamoDBPath
	env[config.EventBridgeEndpoint] = aws + iam.EventBridgePath
	env[config.LambdaEndpoint] = aws + iam.LambdaPath
	env[config.InsecureCallbacks] = "true"
	env[config.LogLevel] = o.LogLevel
	maps.Copy(env, o.Lambda.Environment)
	return env
}

// services serves the services to the processes.
func (s *Stack) services(o Options, events, invocations http.Handler, log *slog.Logger) (http.Handler, error) {
	dynamoDB, err := url.Parse(s.DynamoDBEndpoint)
	if err != nil {
		return nil, fmt.Errorf("read the address of the database: %w", err)
	}
	return http.StripPrefix(awsPath, iam.New(iam.Options{
		Functions: functions.All, DynamoDB: dynamoDB, Management: s.Gateway, EventBridge: events, Lambda: invocations,
		Faults: o.Lambda.Faults, Kill: s.Lambda.Kill, Log: log,
	})), nil
}

// prefixed writes lines with a prefix. Writers that share a mutex write one at a time.
type prefixed struct {
	mu     *sync.Mutex
	w      io.Writer
	prefix string
}

// Write gets whole lines.
func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out bytes.Buffer
	for line := range bytes.Lines(b) {
		out.WriteString(p.prefix)
		out.Write(line)
	}
	_, err := p.w.Write(out.Bytes())
	return len(b), err
}
