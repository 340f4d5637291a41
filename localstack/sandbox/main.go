// Command sandbox runs the functions as AWS does, each bootstrap a process behind
// the Lambda runtime API, on an API Gateway that nobody here wrote: Architect's
// sandbox, from npm. It prints what that shows and fails at the first thing that is
// not as it should be.
//
// It shows the gate of $connect, pushes, a connection that is gone, and $disconnect.
// It cannot show replies: sandbox has no route responses, so what a command did is
// read from the table. It selects a route by "action" where the stack on AWS goes by
// "method", so frames carry both. Its HTTP API fails on the "cookies": null in the
// answers of Go functions, which AWS takes, so the application publishes with the
// hub in this process. It has no limits, no binary frames, no fragments and no
// closes of its own. It listens on 127.0.0.1 alone.
package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"centrifuge/localstack/dynoxide"
	"centrifuge/localstack/npm"
	"centrifuge/localstack/seed"
	"centrifuge/pkg/app"
	"centrifuge/pkg/config"
)

// limit bounds all of it, installation and compilation included.
const limit = 5 * time.Minute

// architect is the program that is the API Gateway.
var architect = npm.Package{
	Folder: "localstack/sandbox", Name: "@architect/sandbox", File: "src/index.js",
	WayOut: "do without: nothing else needs it",
}

// functions are the functions by the name that sandbox gives their routes.
var functions = map[string]string{
	"connect": "connect", "disconnect": "disconnect", "default": "message",
	"auth": "auth", "subscribe": "subscribe", "unsubscribe": "unsubscribe", "broadcast": "broadcast",
}

const projects = `{"projects": [{"id": "demo", "secret": "demo-secret", "options": {"origins": ["https://ours.example"]},
	"categories": [{"name": "chat", "bidirectional": true}]}]}`

//go:embed app
var template embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than %s", limit))
	began := time.Now()
	err := run(ctx, os.Stdout, os.Stderr)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Printf("all of it was shown in %.1f s\n", time.Since(began).Seconds())
}

func run(ctx context.Context, stdout, progress io.Writer) (err error) {
	index, err := architect.Install(ctx, progress)
	if err != nil {
		return fmt.Errorf("install Architect's sandbox: %w", err)
	}
	folder, err := os.MkdirTemp("", "centrifuge-sandbox-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := build(ctx, folder, progress); err != nil {
		return err
	}
	database, err := dynoxide.Start(ctx, dynoxide.Options{Progress: progress})
	if err != nil {
		return err
	}
	defer func() {
		if stopped := database.Stop(); err == nil {
			err = stopped
		}
	}()
	w := &walk{
		launch: func(ctx context.Context) (*gateway, error) {
			return launch(ctx, filepath.Dir(filepath.Dir(index)), folder, database.Endpoint())
		},
		out: stdout,
	}
	if w.app, err = application(database.Endpoint(), ""); err != nil {
		return err
	}
	if err := w.app.Store.CreateTable(ctx); err != nil {
		return err
	}
	if _, err := seed.Apply(ctx, w.app.Store, []byte(projects), "", time.Now()); err != nil {
		return err
	}
	return w.walk(ctx)
}

// build makes the application that sandbox runs: its manifest, and the bootstraps
// for this machine.
func build(ctx context.Context, folder string, progress io.Writer) error {
	manifest, err := fs.Sub(template, "app")
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, manifest); err != nil {
		return fmt.Errorf("write the application: %w", err)
	}
	fmt.Fprintf(progress, "building %d bootstraps\n", len(functions))
	for route, function := range functions {
		bootstrap := filepath.Join(folder, ".build", "ws", route, "bootstrap")
		cmd := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-o", bootstrap, "centrifuge/functions/"+function)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", function, err, out)
		}
	}
	return nil
}

// environment is what the functions are told.
func environment(dynamoDB, management string) map[string]string {
	return map[string]string{
		config.Table: "centrifuge", config.DynamoDBEndpoint: dynamoDB, config.ManagementURL: management, config.LogLevel: "warn",
		config.Region: "us-east-1", config.AccessKeyID: "local", config.SecretAccessKey: "local",
	}
}

// application is Centrifuge in this process, as it is in the functions.
func application(dynamoDB, management string) (*app.App, error) {
	env := environment(dynamoDB, management)
	return app.New(func(name string) string { return env[name] }, os.Stderr)
}
