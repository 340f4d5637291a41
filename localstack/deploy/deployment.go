package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The files that the Makefile installs and builds.
const (
	cdk       = ".tools/cdk/node_modules/.bin/cdk"
	app       = ".build/infra"
	assets    = ".build/native"
	buildHint = "run it with make, which builds this file"
	// outputsPath is where make deploy writes the outputs of the stack.
	outputsPath = ".build/outputs.json"
)

// The region of emulators, and credentials that are valid nowhere else.
const (
	region         = "us-east-1"
	testCredential = "test"
	stage          = "test"
)

// emulator is an emulator of AWS on this machine.
type emulator struct {
	name        string
	endpoint    string
	workarounds []workaround
	// lacks is e2e.Target.Lacks.
	lacks map[string]string
}

// outputs are the outputs of the stack.
type outputs struct {
	WebSocketURL  string
	HTTPURL       string
	ManagementURL string
	TableName     string
	// DispatchFunction is the name of the function dispatch.
	DispatchFunction string
	// AdminURL is empty in a stack without admin pages.
	AdminURL string
}

// readOutputs reads the file that cdk deploy writes with --outputs-file.
func readOutputs(path string) (outputs, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return outputs{}, fmt.Errorf("read the outputs of the deployed stack: %w", err)
	}
	var stacks map[string]outputs
	if err := json.Unmarshal(content, &stacks); err != nil {
		return outputs{}, fmt.Errorf("read the outputs of the deployed stack in %s: %w", path, err)
	}
	if len(stacks) != 1 {
		return outputs{}, fmt.Errorf("%s has the outputs of %d stacks, expected 1", path, len(stacks))
	}
	for name, o := range stacks {
		if o.WebSocketURL == "" || o.HTTPURL == "" || o.TableName == "" {
			return outputs{}, fmt.Errorf("%s has no WebSocketURL, HTTPURL or TableName for stack %s", path, name)
		}
		return o, nil
	}
	return outputs{}, nil
}

// deployment is the stack on an emulator.
type deployment struct {
	steps
	emulator
}

func (d deployment) assembly() string { return filepath.Join(d.folder, "assembly") }

// outputs is the file with the outputs of the stack.
func (d deployment) outputs() string { return filepath.Join(d.folder, "outputs.json") }

// replaced are the variables, by prefix, that programs do not inherit: those of AWS and
// CDK, so that nothing can reach an account on AWS, and the options of a make that runs
// this program.
var replaced = []string{"AWS_", "CDK_", "MAKEFLAGS=", "MAKELEVEL=", "MAKEOVERRIDES=", "MFLAGS="}

// environment is the environment of this process, with the replaced variables changed
// to reach the emulator.
func (e emulator) environment() []string {
	environment := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc(replaced, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
	return append(environment,
		"AWS_ENDPOINT_URL="+e.endpoint, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+testCredential, "AWS_SECRET_ACCESS_KEY="+testCredential,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost")
}

func (d deployment) cdk(ctx context.Context, log io.Writer, args ...string) error {
	return runProgram(ctx, log, d.environment(), cdk, args...)
}

// bootstrap prepares the account as a user does: it runs "make bootstrap" in a fresh
// checkout of the committed and staged files, in which nothing is built or installed.
func (d deployment) bootstrap(ctx context.Context, log io.Writer) error {
	checkout := filepath.Join(d.folder, "checkout")
	if err := runProgram(ctx, log, d.environment(), "git", "checkout-index", "--all", "--prefix="+checkout+"/"); err != nil {
		return fmt.Errorf("%w: this needs git and a clone of the repository", err)
	}
	return runProgram(ctx, log, d.environment(), "make", "-C", checkout, "bootstrap")
}

// synthesize writes the cloud assembly to the folder, the same as for AWS.
func (d deployment) synthesize(ctx context.Context, log io.Writer) error {
	for _, path := range []string{cdk, app, assets} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w: %s", err, buildHint)
		}
	}
	architecture := "x86_64"
	if runtime.GOARCH == "arm64" {
		architecture = "arm64"
	}
	return d.cdk(ctx, log, "--app", app, "synth", "--quiet", "--output", d.assembly(),
		"-c", "stage="+stage, "-c", "demo=true", "-c", "retain=false",
		"-c", "assets="+assets, "-c", "architecture="+architecture)
}

// deploy deploys the stack on the emulator and seeds the project of the
// conversations. took is the time of `cdk deploy`.
func (d deployment) deploy(ctx context.Context) (o outputs, took time.Duration, err error) {
	var changes []string
	for _, step := range []struct {
		name string
		do   func(log io.Writer) error
	}{
		{"bootstrap", func(log io.Writer) error { return d.bootstrap(ctx, log) }},
		{"synthesize", func(log io.Writer) error { return d.synthesize(ctx, log) }},
		{"rewrite", func(io.Writer) error {
			changes, err = rewrite(d.assembly(), d.workarounds)
			return err
		}},
		{"deploy", func(log io.Writer) error {
			return d.cdk(ctx, log, "--app", d.assembly(), "deploy", "--require-approval", "never", "--outputs-file", d.outputs())
		}},
		{"seed", func(io.Writer) error {
			if o, err = readOutputs(d.outputs()); err != nil {
				return err
			}
			return seedTable(ctx, d.endpoint, o)
		}},
	} {
		t, err := d.run(step.name, step.do)
		if err != nil {
			return outputs{}, 0, err
		}
		if step.name == "deploy" {
			took = t
		}
	}
	fmt.Fprintf(d.out, "Changed in the template for %s: %s.\n", d.name, strings.Join(changes, ", "))
	return o, took, nil
}

// destroy deletes the stack.
func (d deployment) destroy(ctx context.Context) error {
	_, err := d.run("destroy", func(log io.Writer) error {
		return d.cdk(ctx, log, "--app", d.assembly(), "destroy", "--force")
	})
	return err
}

// emptyFolder creates an empty folder. It deletes an existing one.
func emptyFolder(path string) error {
	if err := errors.Join(os.RemoveAll(path), os.MkdirAll(path, 0o700)); err != nil {
		return fmt.Errorf("create the folder for logs: %w", err)
	}
	return nil
}
