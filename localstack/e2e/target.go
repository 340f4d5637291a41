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

// The environment variables that describe a target.
const (
	// WebSocketURLVariable and HTTPURLVariable are the URLs of both APIs, including
	// the stage where the URL has one.
	WebSocketURLVariable = "E2E_WS_URL"
	HTTPURLVariable      = "E2E_HTTP_URL"
	// ManagementURLVariable is the URL of the management API. Only the conversations of
	// localstack/sdk need it.
	ManagementURLVariable = "E2E_MANAGEMENT_URL"
	// ProjectVariable, SecretVariable and APIKeyVariable are the id, secret and API
	// key of the project that the conversations use. It must have the options and
	// categories of the project demo in localstack/seed.json, and its id as its name.
	// The values must not contain spaces.
	ProjectVariable = "E2E_PROJECT"
	SecretVariable  = "E2E_SECRET"
	APIKeyVariable  = "E2E_API_KEY"
	// StepTimeoutVariable is the longest time of a step, such as 40s.
	StepTimeoutVariable = "E2E_PATIENCE"
	// LacksVariable is a JSON object: the features that the target lacks, each with
	// the reason.
	LacksVariable = "E2E_LACKS"
	// GuessesVariable is "report" to report wrong guesses instead of failing.
	GuessesVariable = "E2E_GUESSES"
	// ReportVariable is the absolute path of the file that the test writes a Report for
	// each target to, as a line of JSON.
	ReportVariable = "E2E_REPORT"
)

// reportGuesses is the value of GuessesVariable.
const reportGuesses = "report"

// Report is the result of TestConversations for one target. A caller can see with it
// whether the test ran all scripts: a test that ran none passes as well.
type Report struct {
	// Target names the target.
	Target string `json:"target"`
	// Scripts is the number of scripts, Run the number of those that were run, Steps the
	// number of their steps that passed.
	Scripts int `json:"scripts"`
	Run     int `json:"run"`
	Steps   int `json:"steps"`
	// Skipped are the parts that were skipped.
	Skipped []SkippedPart `json:"skipped,omitempty"`
	// Wrong are the guesses that were wrong, where the target reports them.
	Wrong []WrongGuess `json:"wrong,omitempty"`
}

// Target is a Centrifuge to run conversations against.
type Target struct {
	WebSocketURL string
	HTTPURL      string
	// ManagementURL is "" where it is not known. No script uses it.
	ManagementURL string
	// Project, Secret and APIKey are the id, secret and API key of the seeded
	// project; "demo", "demo-secret" and "demo-key" by default.
	Project, Secret, APIKey string
	// StepTimeout is the longest time of a step; 20 seconds if zero. It ends a
	// conversation that hangs and measures nothing.
	StepTimeout time.Duration
	// Lacks are the features that this target lacks, each with the reason. Run skips
	// the parts of a script that need them; Skipped returns these parts.
	Lacks map[string]string
	// ReportGuesses makes Run return wrong guesses instead of failing.
	ReportGuesses bool
}

func (t Target) withDefaults() Target {
	for _, field := range []struct {
		value    *string
		fallback string
	}{{&t.Project, "demo"}, {&t.Secret, "demo-secret"}, {&t.APIKey, "demo-key"}} {
		if *field.value == "" {
			*field.value = field.fallback
		}
	}
	if t.StepTimeout == 0 {
		t.StepTimeout = 20 * time.Second
	}
	return t
}

var tokens = regexp.MustCompile(`"token":"[^"]*"`)

// mask removes the secret, the API key and tokens from a line: the target may be a
// real one.
func (t Target) mask(line string) string {
	line = strings.NewReplacer(t.Secret, "SECRET", t.APIKey, "KEY").Replace(line)
	return tokens.ReplaceAllString(line, `"token":"…"`)
}

// FromEnvironment reads a target from the environment through getenv, which has
// the contract of os.Getenv. found is false when neither URL is set. It fails when one
// of the URLs is missing or a value is invalid. The error names the variable and
// contains no secret.
func FromEnvironment(getenv func(string) string) (target Target, found bool, err error) {
	target = Target{
		WebSocketURL:  strings.TrimSuffix(getenv(WebSocketURLVariable), "/"),
		HTTPURL:       strings.TrimSuffix(getenv(HTTPURLVariable), "/"),
		ManagementURL: strings.TrimSuffix(getenv(ManagementURLVariable), "/"),
		Project:       getenv(ProjectVariable),
		Secret:        getenv(SecretVariable),
		APIKey:        getenv(APIKeyVariable),
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
			return Target{}, false, fmt.Errorf("%s is %q: set it to a URL that starts with %s://",
				name, address.value, strings.Join(address.schemes, ":// or "))
		}
	}
	if s := getenv(StepTimeoutVariable); s != "" {
		target.StepTimeout, err = time.ParseDuration(s)
		if err != nil || target.StepTimeout <= 0 {
			return Target{}, false, fmt.Errorf("%s is %q: set it to a duration above 0, such as 40s", StepTimeoutVariable, s)
		}
	}
	if s := getenv(GuessesVariable); s != "" {
		if s != reportGuesses {
			return Target{}, false, fmt.Errorf("%s is %q: set it to %s, or not at all", GuessesVariable, s, reportGuesses)
		}
		target.ReportGuesses = true
	}
	if s := getenv(LacksVariable); s != "" {
		if err := json.Unmarshal([]byte(s), &target.Lacks); err != nil {
			return Target{}, false, fmt.Errorf("%s is not a JSON object of feature names and reasons: %w", LacksVariable, err)
		}
	}
	return target.withDefaults(), true, nil
}

// Environment returns the target in the form that FromEnvironment reads: NAME=value.
func (t Target) Environment() ([]string, error) {
	t = t.withDefaults()
	lacks, err := json.Marshal(t.Lacks)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", LacksVariable, err)
	}
	values := map[string]string{
		WebSocketURLVariable:  t.WebSocketURL,
		HTTPURLVariable:       t.HTTPURL,
		ManagementURLVariable: t.ManagementURL,
		ProjectVariable:       t.Project,
		SecretVariable:        t.Secret,
		APIKeyVariable:        t.APIKey,
		StepTimeoutVariable:   t.StepTimeout.String(),
		LacksVariable:         string(lacks),
	}
	if t.ReportGuesses {
		values[GuessesVariable] = reportGuesses
	}
	var environment []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		environment = append(environment, name+"="+values[name])
	}
	return environment, nil
}
