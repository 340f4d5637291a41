package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// project and secret are those of the seeded project, for tokens.
const (
	project = "demo"
	secret  = "demo-secret"
)

// step is one line of a script.
type step struct {
	line int
	verb string
	args string
}

func (s step) String() string { return fmt.Sprintf("%3d  %s %s", s.line, s.verb, clip(s.args)) }

// clip shortens what would fill a screen.
func clip(s string) string {
	if len(s) > 400 {
		return fmt.Sprintf("%s… (%d bytes)", s[:400], len(s))
	}
	return s
}

// functions are what a line may call.
var functions = template.FuncMap{
	// token makes the HMAC-SHA256 token of a user of the seeded project.
	"token": func(user string) string { return auth.SignToken(secret, user, project) },
	// md5token makes the token of 2013.
	"md5token": func(user string) string { return auth.SignTokenMD5(secret, user, project) },
	// jwt makes a JWT that ends in so many seconds, with claims beside sub and exp.
	"jwt": func(user string, seconds int, claims string) (string, error) {
		c := make(map[string]any)
		if err := json.Unmarshal([]byte(claims), &c); err != nil {
			return "", fmt.Errorf("claims: %w", err)
		}
		c["sub"], c["exp"] = user, time.Now().Add(time.Duration(seconds)*time.Second).Unix()
		return auth.SignJWT(secret, c)
	},
	// repeat is strings.Repeat.
	"repeat": strings.Repeat,
	// channels writes n channel names as a JSON array.
	"channels": func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`"c%d"`, i)
		}
		return "[" + strings.Join(names, ",") + "]"
	},
	// id makes a value that no other run has used.
	"id": func() string { return hub.NewID(time.Now()) },
}

// parse reads a script.
func parse(name, text string) ([]step, error) {
	t, err := template.New(name).Funcs(functions).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return nil, fmt.Errorf("expand %s: %w", name, err)
	}
	var steps []step
	for i, line := range strings.Split(b.String(), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, args, _ := strings.Cut(line, " ")
		steps = append(steps, step{i + 1, verb, strings.TrimSpace(args)})
	}
	return steps, nil
}
