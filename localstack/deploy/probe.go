package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"centrifuge/localstack/probe"
)

// idleTime is a minute longer than a connection may be idle.
const idleTime = 11 * time.Minute

// errDeclined is returned when the user did not agree to the cost.
var errDeclined = errors.New("nothing was sent: answer y, or give --yes")

// probeAWS probes the stack that is deployed on AWS and writes a transcript.
func probeAWS(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	yes, idle := flags.Bool("yes", false, ""), flags.Bool("idle", false, "")
	deploy, failure := flags.String("deploy", "", ""), flags.String("failure", "", "")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return errUsage
	}
	target, o, err := deployed(outputsPath, getenv)
	if err != nil {
		return err
	}
	if o.ManagementURL == "" {
		return fmt.Errorf("%s has no ManagementURL: run make deploy again", outputsPath)
	}
	cloud, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read AWS configuration: %w", err)
	}
	if cloud.Region == "" {
		return errors.New("no AWS region: set AWS_REGION to the one of the deployment")
	}
	if err := agreeToCost(*yes, in, out); err != nil {
		return err
	}
	options := probe.Options{FailureURL: *failure}
	if *idle {
		options.Idle = idleTime
	}
	folder := filepath.Join(".build", "probe", time.Now().UTC().Format("20060102T150405Z"))
	if err := emptyFolder(folder); err != nil {
		return err
	}
	if *deploy != "" {
		options.Deploy = func(ctx context.Context) error {
			log, err := os.Create(filepath.Join(folder, "deploy.log"))
			if err != nil {
				return err
			}
			return errors.Join(runProgram(ctx, log, os.Environ(), "sh", "-c", *deploy), log.Close())
		}
	}
	return writeTranscript(folder, out, func(record func(probe.Result)) error {
		return probe.Run(ctx, probe.Target{
			WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, ManagementURL: o.ManagementURL,
			Project: target.Project, Secret: target.Secret, Region: cloud.Region, Credentials: cloud.Credentials,
		}, options, record)
	})
}

// agreeToCost prints the cost and asks for agreement.
func agreeToCost(yes bool, in io.Reader, out io.Writer) error {
	fmt.Fprintf(out, "This costs at most about $%.2f at the list prices of us-east-1.\n", max(probe.Cost(), 0.01))
	if yes {
		return nil
	}
	fmt.Fprint(out, "Continue? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}

// writeTranscript runs probes and writes their results to a folder: each immediately to
// transcript.jsonl, and all in the end to summary.txt. It prints one line for each, and
// the summary of those that do not agree.
func writeTranscript(folder string, out io.Writer, run func(record func(probe.Result)) error) (err error) {
	lines, err := os.Create(filepath.Join(folder, "transcript.jsonl"))
	if err != nil {
		return fmt.Errorf("write the transcript: %w", err)
	}
	defer func() { err = errors.Join(err, lines.Close()) }()
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	var results []probe.Result
	var failed error
	err = run(func(r probe.Result) {
		results = append(results, r)
		failed = errors.Join(failed, encoder.Encode(r))
		fmt.Fprintf(out, "  %-16s %6.1f s  agrees: %s\n", r.Name, r.Seconds, r.Agreement)
		if r.Agreement != probe.Yes {
			fmt.Fprintf(out, "      we assumed: %s\n      seen:       %s\n", r.Assumed, r.Seen)
		}
	})
	var summary strings.Builder
	probe.Summarize(&summary, results)
	path := filepath.Join(folder, "summary.txt")
	if err := errors.Join(err, failed, os.WriteFile(path, []byte(summary.String()), 0o600)); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d probes. The transcript is in %s, what it says in %s.\n", len(results), lines.Name(), path)
	return nil
}

// probe probes the stack on the emulator and returns the names of the probes by their
// agreement. What an emulator does proves nothing about AWS: this shows that the probes
// run on a deployed stack. It fails when a probe cannot find out its answer.
func (d deployment) probe(ctx context.Context, o outputs, log io.Writer) (map[probe.Agreement][]string, error) {
	folder := filepath.Join(d.folder, "probe")
	if err := emptyFolder(folder); err != nil {
		return nil, err
	}
	names := make(map[probe.Agreement][]string)
	var problems []error
	err := writeTranscript(folder, log, func(record func(probe.Result)) error {
		return probe.Run(ctx, probe.Target{
			WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, ManagementURL: o.ManagementURL,
			Project: "demo", Secret: "demo-secret",
			Region: region, Credentials: credentials.NewStaticCredentialsProvider(testCredential, testCredential, ""),
		}, probe.Options{}, func(r probe.Result) {
			record(r)
			names[r.Agreement] = append(names[r.Agreement], r.Name)
			if strings.HasPrefix(r.Seen, "could not find out") {
				problems = append(problems, fmt.Errorf("probe %s: %s", r.Name, r.Seen))
			}
		})
	})
	return names, errors.Join(append(problems, err)...)
}

// printAgreement prints what the probes saw on an emulator.
func printAgreement(out io.Writer, name string, names map[probe.Agreement][]string) {
	fmt.Fprintf(out, "%d probes on %s: %d agree with what we assume about AWS.\n", len(probe.Names()), name, len(names[probe.Yes]))
	fmt.Fprintf(out, "  It does otherwise: %s.\n  Unknown: %s.\n",
		strings.Join(names[probe.No], ", "), strings.Join(names[probe.Unknown], ", "))
}
