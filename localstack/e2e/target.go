package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The environment variables that describe a target which somebody else started.
const (
	// WebSocketURLVariable and HTTPURLVariable are the addresses of both APIs, with
	// the stage if there is one in the address.
	WebSocketURLVariable = "E2E_WS_URL"
	HTTPURLVariable      = "E2E_HTTP_URL"
	// ProjectVariable, SecretVariable and APIKeyVariable are those of the project
	// that the conversations use, which has to have the options and categories of
	// the project demo in localstack/seed.json, and its id for a name. None has a
	// space in it.
	ProjectVariable = "E2E_PROJECT"
	SecretVariable  = "E2E_SECRET"
	APIKeyVariable  = "E2E_API_KEY"
	// PatienceVariable is how long a step may take, such as 40s.
	PatienceVariable = "E2E_PATIENCE"
	// LacksVariable is a JSON object: what the target lacks, each with the reason.
	LacksVariable = "E2E_LACKS"
	// ReportVariable is the file that the test leaves a Report in, as JSON.
	ReportVariable = "E2E_REPORT"
)

// Report is what the test of all scripts leaves for whoever started it, so that
// nobody takes a test that played nothing for one that passed.
type Report struct {
	// Scripts is how many scripts there are, and Played how many were played.
	Scripts int `json:"scripts"`
	Played  int `json:"played"`
	// Gaps are the parts that were passed over.
	Gaps []Gap `json:"gaps"`
}

// Target is a Centrifuge to talk to.
type Target struct {
	WebSocketURL string
	HTTPURL      string
	// Project, Secret and APIKey are those of the seeded project; "demo",
	// "demo-secret" and "demo-key" where they are empty.
	Project, Secret, APIKey string
	// Patience is how long a step may take before the conversation has failed, 20
	// seconds where it is 0. It guards against a hang and measures nothing.
	Patience time.Duration
	// Lacks names what this target cannot do, each with the reason. The parts of a
	// script that need it are passed over; Gaps tells which.
	Lacks map[string]string
}

func (t Target) withDefaults() Target {
	for _, field := range []struct {
		value  *string
		absent string
	}{{&t.Project, "demo"}, {&t.Secret, "demo-secret"}, {&t.APIKey, "demo-key"}} {
		if *field.value == "" {
			*field.value = field.absent
		}
	}
	if t.Patience == 0 {
		t.Patience = 20 * time.Second
	}
	return t
}

var tokens = regexp.MustCompile(`"token":"[^"]*"`)

// mask takes out of a line what opens the project. A target may be a real one.
func (t Target) mask(line string) string {
	line = strings.NewReplacer(t.Secret, "SECRET", t.APIKey, "KEY").Replace(line)
	return tokens.ReplaceAllString(line, `"token":"…"`)
}

// FromEnvironment reads a target from the environment through getenv, which has
// the contract of os.Getenv. found is false where the environment names none. It
// fails, naming the variable, when one of the two addresses is absent or a value
// cannot be understood; the values of secrets are not in the error.
func FromEnvironment(getenv func(string) string) (target Target, found bool, err error) {
	target = Target{
		WebSocketURL: strings.TrimSuffix(getenv(WebSocketURLVariable), "/"),
		HTTPURL:      strings.TrimSuffix(getenv(HTTPURLVariable), "/"),
		Project:      getenv(ProjectVariable),
		Secret:       getenv(SecretVariable),
		APIKey:       getenv(APIKeyVariable),
	}
	if target.WebSocketURL == "" && target.HTTPURL == "" {
		return Target{}, false, nil
	}
	for name, address := range map[string]struct {
		value   string
		schemes []string
	}{
		WebSocketURLVariable: {target.WebSocketURL, []string{"ws", "wss"}},
		HTTPURLVariable:      {target.HTTPURL, []string{"http", "https"}},
	} {
		u, err := url.Parse(address.value)
		if err != nil || !slices.Contains(address.schemes, u.Scheme) || u.Host == "" {
			return Target{}, false, fmt.Errorf("%s is not an address that starts with %s://: %q",
				name, strings.Join(address.schemes, ":// or "), address.value)
		}
	}
	if s := getenv(PatienceVariable); s != "" {
		target.Patience, err = time.ParseDuration(s)
		if err != nil || target.Patience <= 0 {
			return Target{}, false, fmt.Errorf("%s is not a duration above 0: %q", PatienceVariable, s)
		}
	}
	if s := getenv(LacksVariable); s != "" {
		if err := json.Unmarshal([]byte(s), &target.Lacks); err != nil {
			return Target{}, false, fmt.Errorf("%s is not a JSON object of reasons: %w", LacksVariable, err)
		}
	}
	return target.withDefaults(), true, nil
}

// Environment writes the target as FromEnvironment reads it, as NAME=value.
func (t Target) Environment() ([]string, error) {
	t = t.withDefaults()
	lacks, err := json.Marshal(t.Lacks)
	if err != nil {
		return nil, fmt.Errorf("write what the target lacks: %w", err)
	}
	values := map[string]string{
		WebSocketURLVariable: t.WebSocketURL,
		HTTPURLVariable:      t.HTTPURL,
		ProjectVariable:      t.Project,
		SecretVariable:       t.Secret,
		APIKeyVariable:       t.APIKey,
		PatienceVariable:     t.Patience.String(),
		LacksVariable:        string(lacks),
	}
	var environment []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		environment = append(environment, name+"="+values[name])
	}
	return environment, nil
}
