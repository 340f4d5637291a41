// Package probe asks a deployment what AWS's documentation leaves open, and measures it.
//
// Each probe has a question, what this project assumes, and what was seen. Its number of
// messages and its time are bounded, and Cost estimates what AWS bills for all of them.
// A probe never fails: what it could not find out is unknown, with the reason.
//
// The package knows a deployment by its URLs and by a project with the categories of
// localstack/deploy/smoke.json. It changes nothing there, except through Options.Deploy,
// and does not know how the deployment is made.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"centrifuge/pkg/delivery"
)

// Target is a deployment.
type Target struct {
	// WebSocketURL and HTTPURL are the URLs of both APIs, ManagementURL the one of the
	// management API.
	WebSocketURL, HTTPURL, ManagementURL string
	// Project and Secret are the id and the secret of a project.
	Project, Secret string
	// Region and Credentials sign the posts to connections.
	Region      string
	Credentials aws.CredentialsProvider
}

// Options are what a run includes. The zero value leaves out what takes long or changes
// the deployment.
type Options struct {
	// Idle is how long a connection only receives, in the probe of the idle time. It
	// should be longer than ten minutes; zero leaves the probe out.
	Idle time.Duration
	// Deploy changes the deployment while a client is connected; nil leaves the probe
	// out.
	Deploy func(context.Context) error
	// FailureURL is the WebSocket API of failure.json, whose function fails: no frame
	// makes a function of the service return another status than 200. "" leaves the
	// probe out.
	FailureURL string
	// ReplyTimeout is how long a probe waits for one frame; 10 seconds if zero.
	ReplyTimeout time.Duration
}

// Agreement says whether a deployment does what this project assumes.
type Agreement string

// The agreements. Unknown is the one of a probe that was left out or saw too little.
const (
	Yes     Agreement = "yes"
	No      Agreement = "no"
	Unknown Agreement = "unknown"
)

// Result is the result of one probe.
type Result struct {
	Name     string `json:"name"`
	Question string `json:"question"`
	// Assumed is what this project assumes, Seen what was seen.
	Assumed   string    `json:"assumed"`
	Seen      string    `json:"seen"`
	Agreement Agreement `json:"agreement"`
	// Values are the measured values, by name.
	Values  map[string]any `json:"values,omitempty"`
	Seconds float64        `json:"seconds"`
}

// probe is one question.
type probe struct {
	name, question, assumed string
	// messages and invocations bound what AWS bills: messages of up to 32 KB in either
	// direction, and invocations of functions.
	messages, invocations int
	// limit bounds the time.
	limit time.Duration
	// find looks for the answer. An error means that there is none.
	find func(context.Context, *session) (finding, error)
}

// finding is what a probe saw.
type finding struct {
	agreement Agreement
	seen      string
	values    map[string]any
}

// agree is a finding with the agreement Yes or No.
func agree(yes bool, format string, args ...any) finding {
	f := finding{agreement: No, seen: fmt.Sprintf(format, args...)}
	if yes {
		f.agreement = Yes
	}
	return f
}

// leftOutError is the error of a probe that was not run.
type leftOutError struct{ reason string }

func (e leftOutError) Error() string { return "left out: " + e.reason }

// session is what the probes of a run share.
type session struct {
	Target
	Options
	management *apigatewaymanagementapi.Client
}

func newSession(t Target, o Options) *session {
	if o.ReplyTimeout == 0 {
		o.ReplyTimeout = 10 * time.Second
	}
	return &session{Target: t, Options: o, management: apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: &t.ManagementURL, Region: t.Region, Credentials: t.Credentials, Retryer: aws.NopRetryer{},
	})}
}

// poster returns a poster that makes each request once.
func (s *session) poster(concurrency int) (*delivery.Poster, error) {
	return delivery.NewPoster(delivery.PosterOptions{
		URL: s.ManagementURL, Region: s.Region, Credentials: s.Credentials,
		Concurrency: concurrency, Attempts: 1, Timeout: s.ReplyTimeout,
	})
}

// Names returns the names of the probes, in the order of their results.
func Names() []string {
	var names []string
	for _, p := range append(slices.Clone(probes), idle) {
		names = append(names, p.name)
	}
	return names
}

// Cost estimates what AWS bills for a run at most, in dollars.
func Cost() float64 {
	messages, invocations := idle.messages, idle.invocations
	for _, p := range probes {
		messages, invocations = messages+p.messages, invocations+p.invocations
	}
	// The list prices of us-east-1: $1 for a million messages; $3 for a million
	// invocations of 100 ms with 1,769 MB, their requests to DynamoDB included.
	return (float64(messages) + 3*float64(invocations)) / 1e6
}

// Run runs all probes and passes each result to record. It fails when the target has no
// secret, when no client can connect, and when ctx ends.
func Run(ctx context.Context, t Target, o Options, record func(Result)) error {
	if t.Secret == "" {
		return errors.New("probe: the project has no secret")
	}
	s := newSession(t, o)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, p := range probes {
		result := s.run(ctx, p)
		record(result)
		if i > 0 {
			continue
		}
		// The first probe has called every function.
		c, _, err := s.enter(ctx)
		if err != nil {
			return fmt.Errorf("probe %s: %w: check the project, its secret and the credentials", t.WebSocketURL, err)
		}
		c.close()
		waiting := make(chan Result, 1)
		go func() { waiting <- s.run(ctx, idle) }()
		defer func() {
			// It runs while the others run.
			record(<-waiting)
		}()
	}
	return ctx.Err()
}

// run runs one probe.
func (s *session) run(ctx context.Context, p probe) Result {
	began := time.Now()
	limit := p.limit
	if p.name == idle.name {
		limit += s.Idle
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	f, err := p.find(bounded, s)
	if err != nil {
		f.agreement, f.seen = Unknown, err.Error()
		var out leftOutError
		if !errors.As(err, &out) {
			f.seen = "could not find out: " + f.seen
		}
	}
	return Result{
		Name: p.name, Question: p.question, Assumed: p.assumed, Seen: f.seen, Agreement: f.agreement, Values: f.values,
		Seconds: time.Since(began).Seconds(),
	}
}

// Summarize writes results for people.
func Summarize(w io.Writer, results []Result) {
	count := make(map[Agreement]int)
	for _, r := range results {
		count[r.Agreement]++
		fmt.Fprintf(w, "%s: %s\n  assumed: %s\n  seen:    %s\n  agrees:  %s\n\n", r.Name, r.Question, r.Assumed, r.Seen, r.Agreement)
	}
	fmt.Fprintf(w, "%d probes: %d agree with what we assume, %d do not, %d are unknown.\n", len(results), count[Yes], count[No], count[Unknown])
}
