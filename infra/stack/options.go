package stack

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strconv"
)

// Options are what the person who deploys decides, each with the CDK context key
// of the same name in lower case: `cdk deploy -c stage=prod -c demo=true`.
type Options struct {
	// Stage is the last part of the WebSocket address and of the stack's name, so
	// that several can live side by side: 1 to 64 letters, digits and "-". Default
	// "dev".
	Stage string
	// Demo deploys the example application too. Default false.
	Demo bool
	// Admin deploys the admin pages, with a password in Secrets Manager for $0.40 a
	// month. Default true.
	Admin bool
	// Hooks deploys event hooks: a bus, the function that posts what is put on it to
	// webhooks, and a queue of what it could not. Default true.
	Hooks bool
	// Retain keeps the table and all it holds when the stack is destroyed. Default
	// true.
	Retain bool
	// Assets is the directory with a directory for each function, in which is the
	// function's bootstrap. Default ".build".
	Assets string
	// Architecture is what the bootstraps were built for: "arm64", which costs a
	// fifth less, or "x86_64". Default "arm64".
	Architecture string

	// Domain is a host name for the WebSocket API, such as "rt.example.com", which
	// needs Certificate. Default none.
	Domain string
	// APIDomain, context key "api-domain", is one for the HTTP API, which cannot have
	// the same as the WebSocket API. Default "api." before Domain.
	APIDomain string
	// Certificate is the ARN of an ACM certificate for Domain and APIDomain in the
	// region of the stack.
	Certificate string
	// Zone is the id of the Route 53 hosted zone that holds both names. Without, two
	// outputs tell what to point them at.
	Zone string

	// Monitoring makes alarms and a dashboard. Default true.
	Monitoring bool
	// Alarms is the e-mail address that is told of alarms. Default none.
	Alarms string
}

// Whatever is optional may be given empty.
var (
	stageNames   = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	hostNames    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
	certificates = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$`)
	zones        = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
)

// ReadOptions reads the options from the CDK context: what context returns for a
// key, nil where nothing was given. It fails, naming the key, on a value that
// cannot be understood.
func ReadOptions(context func(key string) any) (Options, error) {
	o := Options{
		Stage: "dev", Admin: true, Hooks: true, Retain: true, Assets: ".build", Architecture: "arm64", Monitoring: true,
	}
	for key, target := range map[string]*string{
		"stage": &o.Stage, "assets": &o.Assets, "architecture": &o.Architecture,
		"domain": &o.Domain, "api-domain": &o.APIDomain, "certificate": &o.Certificate, "zone": &o.Zone,
		"alarms": &o.Alarms,
	} {
		switch value := context(key).(type) {
		case nil:
		case string:
			*target = value
		default:
			return Options{}, fmt.Errorf("context %s is not a string: %v", key, value)
		}
	}
	for key, target := range map[string]*bool{
		"demo": &o.Demo, "admin": &o.Admin, "hooks": &o.Hooks, "retain": &o.Retain, "monitoring": &o.Monitoring,
	} {
		// The command line gives strings, cdk.json may give booleans.
		value := context(key)
		if value == nil {
			continue
		}
		b, err := strconv.ParseBool(fmt.Sprint(value))
		if err != nil {
			return Options{}, fmt.Errorf("context %s is neither true nor false: %v", key, value)
		}
		*target = b
	}
	switch {
	case !stageNames.MatchString(o.Stage):
		return Options{}, fmt.Errorf("context stage is not 1 to 64 letters, digits and dashes: %q", o.Stage)
	case o.Assets == "":
		return Options{}, errors.New("context assets is empty")
	case o.Architecture != "arm64" && o.Architecture != "x86_64":
		return Options{}, fmt.Errorf("context architecture is neither arm64 nor x86_64: %q", o.Architecture)
	}
	if err := o.readDomain(); err != nil {
		return Options{}, err
	}
	if o.Alarms != "" {
		if a, err := mail.ParseAddress(o.Alarms); err != nil || a.Address != o.Alarms {
			return Options{}, fmt.Errorf("context alarms is not an e-mail address: %q", o.Alarms)
		}
		if !o.Monitoring {
			return Options{}, errors.New("context alarms is an address that nothing will be sent to, because monitoring is false")
		}
	}
	return o, nil
}

// readDomain checks the options about host names, which go together, and fills in
// APIDomain.
func (o *Options) readDomain() error {
	if o.Domain == "" {
		for _, other := range []struct{ key, value string }{
			{"api-domain", o.APIDomain}, {"certificate", o.Certificate}, {"zone", o.Zone},
		} {
			if other.value != "" {
				return fmt.Errorf("context %s is of no use without domain: %q", other.key, other.value)
			}
		}
		return nil
	}
	if o.APIDomain == "" {
		o.APIDomain = "api." + o.Domain
	}
	for _, name := range []struct{ key, value string }{{"domain", o.Domain}, {"api-domain", o.APIDomain}} {
		if len(name.value) > 253 || !hostNames.MatchString(name.value) {
			return fmt.Errorf("context %s is not a host name in lower case: %q", name.key, name.value)
		}
	}
	switch {
	case o.APIDomain == o.Domain:
		return fmt.Errorf("context api-domain is the same as domain, but API Gateway wants two names for two APIs: %q", o.Domain)
	case o.Certificate == "":
		return fmt.Errorf("context certificate is missing: domain needs the ARN of an ACM certificate for %s and %s", o.Domain, o.APIDomain)
	case !certificates.MatchString(o.Certificate):
		return fmt.Errorf("context certificate is not the ARN of an ACM certificate: %q", o.Certificate)
	case o.Zone != "" && !zones.MatchString(o.Zone):
		return fmt.Errorf("context zone is not the id of a Route 53 hosted zone, such as Z0123456789ABCDEFGHIJ: %q", o.Zone)
	}
	return nil
}
