package stack

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strconv"
)

// Options are the options of a deployment. Each has the CDK context key of the same
// name in lower case: `cdk deploy -c stage=prod -c demo=true`.
type Options struct {
	// Stage is the last part of the WebSocket address and of the stack's name, so
	// that an account can hold several stacks: 1 to 44 letters, digits and "-". The name
	// of a function has at most 64.
	// Default "dev".
	Stage string
	// Demo adds the example application. Default false.
	Demo bool
	// Admin adds the admin pages. Default true.
	Admin bool
	// Hooks adds event hooks: an event bus, and the function that posts messages to
	// webhooks. Default true.
	Hooks bool
	// Pings adds the function that sends pings, and its schedule: projects may have the option
	// ping_interval. Default false: the schedule costs something while nobody is connected.
	Pings bool
	// DefaultProject, context key "default-project", is the id of the project of clients whose URL
	// names none. Default none.
	DefaultProject string
	// Retain keeps the table and its items when the stack is destroyed. Default true.
	Retain bool
	// Assets is the folder of the built functions: <assets>/<function>/bootstrap.
	// Default ".build".
	Assets string
	// ReservedConcurrency, context key "reserved-concurrency", is the number of concurrent
	// executions that each function which waits for applications has for itself, and cannot
	// exceed: 1 to 1000. AWS leaves at least 100 unreserved in an account, and a new account
	// may have 10 in all: then the deployment fails. Default 0: none is reserved.
	ReservedConcurrency int
	// Architecture is the architecture of the bootstraps: "arm64", which costs a fifth
	// less, or "x86_64". Default "arm64".
	Architecture string

	// Domain is a custom domain for the WebSocket API, such as "rt.example.com". It
	// requires Certificate. Default none.
	Domain string
	// APIDomain, context key "api-domain", is a custom domain for the HTTP API. It
	// must differ from Domain. Default "api.<domain>".
	APIDomain string
	// Certificate is the ARN of an ACM certificate for Domain and APIDomain in the
	// region of the stack.
	Certificate string
	// Zone is the id of the Route 53 hosted zone that holds both names. Without it, two
	// outputs hold the targets of their CNAME records.
	Zone string

	// Monitoring adds alarms and a dashboard. Default true.
	Monitoring bool
	// Alarms is the e-mail address that alarms notify. Default none.
	Alarms string
}

var (
	stageNames   = regexp.MustCompile(`^[A-Za-z0-9-]{1,44}$`)
	hostNames    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
	certificates = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$`)
	zones        = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
)

// ReadOptions reads the options from the CDK context. context returns the value of a
// key, nil for a key that is not set. An optional string may be empty. The error for
// an invalid value names its key.
func ReadOptions(context func(key string) any) (Options, error) {
	o := Options{
		Stage: "dev", Admin: true, Hooks: true, Retain: true, Assets: ".build", Architecture: "arm64", Monitoring: true,
	}
	for key, target := range map[string]*string{
		"stage": &o.Stage, "assets": &o.Assets, "architecture": &o.Architecture,
		"domain": &o.Domain, "api-domain": &o.APIDomain, "certificate": &o.Certificate, "zone": &o.Zone,
		"alarms": &o.Alarms, "default-project": &o.DefaultProject,
	} {
		switch value := context(key).(type) {
		case nil:
		case string:
			*target = value
		default:
			return Options{}, fmt.Errorf("context %s must be a string: %v", key, value)
		}
	}
	for key, target := range map[string]*bool{
		"demo": &o.Demo, "admin": &o.Admin, "hooks": &o.Hooks, "pings": &o.Pings, "retain": &o.Retain, "monitoring": &o.Monitoring,
	} {
		// The command line holds strings, cdk.json may hold booleans.
		value := context(key)
		if value == nil {
			continue
		}
		b, err := strconv.ParseBool(fmt.Sprint(value))
		if err != nil {
			return Options{}, fmt.Errorf("context %s must be true or false: %v", key, value)
		}
		*target = b
	}
	switch {
	case !stageNames.MatchString(o.Stage):
		return Options{}, fmt.Errorf("context stage must be 1 to 44 letters, digits and dashes: %q", o.Stage)
	case o.Assets == "":
		return Options{}, errors.New("context assets must not be empty")
	case o.Architecture != "arm64" && o.Architecture != "x86_64":
		return Options{}, fmt.Errorf("context architecture must be arm64 or x86_64: %q", o.Architecture)
	}
	if value := context("reserved-concurrency"); value != nil && value != "" {
		n, err := strconv.Atoi(fmt.Sprint(value))
		if err != nil || n < 1 || n > 1000 {
			return Options{}, fmt.Errorf("context reserved-concurrency must be a number from 1 to 1000: %v", value)
		}
		o.ReservedConcurrency = n
	}
	if err := o.readDomain(); err != nil {
		return Options{}, err
	}
	if o.Alarms != "" {
		if a, err := mail.ParseAddress(o.Alarms); err != nil || a.Address != o.Alarms {
			return Options{}, fmt.Errorf("context alarms must be an e-mail address: %q", o.Alarms)
		}
		if !o.Monitoring {
			return Options{}, errors.New("context alarms requires monitoring, which is false")
		}
	}
	return o, nil
}

// readDomain checks the options about custom domains, which depend on each other, and
// sets the default of APIDomain.
func (o *Options) readDomain() error {
	if o.Domain == "" {
		for _, other := range []struct{ key, value string }{
			{"api-domain", o.APIDomain}, {"certificate", o.Certificate}, {"zone", o.Zone},
		} {
			if other.value != "" {
				return fmt.Errorf("context %s requires domain: %q", other.key, other.value)
			}
		}
		return nil
	}
	if o.APIDomain == "" {
		o.APIDomain = "api." + o.Domain
	}
	for _, name := range []struct{ key, value string }{{"domain", o.Domain}, {"api-domain", o.APIDomain}} {
		if len(name.value) > 253 || !hostNames.MatchString(name.value) {
			return fmt.Errorf("context %s must be a host name in lower case: %q", name.key, name.value)
		}
	}
	switch {
	case o.APIDomain == o.Domain:
		return fmt.Errorf("context api-domain must differ from domain, a WebSocket API and an HTTP API cannot share one: %q", o.Domain)
	case o.Certificate == "":
		return fmt.Errorf("context certificate is missing: set the ARN of an ACM certificate for %s and %s", o.Domain, o.APIDomain)
	case !certificates.MatchString(o.Certificate):
		return fmt.Errorf("context certificate must be the ARN of an ACM certificate: %q", o.Certificate)
	case o.Zone != "" && !zones.MatchString(o.Zone):
		return fmt.Errorf("context zone must be the id of a Route 53 hosted zone, such as Z0123456789ABCDEFGHIJ: %q", o.Zone)
	}
	return nil
}
