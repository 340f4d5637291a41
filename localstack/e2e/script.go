package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
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
func (t Target) functions() template.FuncMap {
	return template.FuncMap{
		// project, secret and key are those of the seeded project.
		"project": func() string { return t.Project },
		"secret":  func() string { return t.Secret },
		"key":     func() string { return t.APIKey },
		// token makes the HMAC-SHA256 token of a user of the seeded project.
		"token": func(user string) string { return auth.SignToken(t.Secret, user, t.Project) },
		// md5token makes the token of 2013.
		"md5token": func(user string) string { return auth.SignTokenMD5(t.Secret, user, t.Project) },
		// jwt makes a JWT that ends in so many seconds, with claims beside sub and exp.
		"jwt": func(user string, seconds int, claims string) (string, error) {
			c := make(map[string]any)
			if err := json.Unmarshal([]byte(claims), &c); err != nil {
				return "", fmt.Errorf("claims: %w", err)
			}
			c["sub"], c["exp"] = user, time.Now().Add(time.Duration(seconds)*time.Second).Unix()
			return auth.SignJWT(t.Secret, c)
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
}

// Gap is a part of a script that a target cannot play.
type Gap struct {
	// Script is the name of the script and Line where the part begins.
	Script string `json:"script"`
	Line   int    `json:"line"`
	// Steps is how many steps are passed over.
	Steps int `json:"steps"`
	// Part is what the target lacks, by the name that the script gives it, and
	// Reason why.
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// Gaps returns the parts of a script that Play passes over on the target, in
// order: those that need what the target lacks.
func Gaps(target Target, name, script string) ([]Gap, error) {
	_, gaps, err := target.withDefaults().parse(name, script)
	return gaps, err
}

// parse reads a script: the steps for this target, and what is left out of it.
func (t Target) parse(name, text string) ([]step, []Gap, error) {
	tpl, err := template.New(name).Funcs(t.functions()).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", name, err)
	}
	var b strings.Builder
	if err := tpl.Execute(&b, nil); err != nil {
		return nil, nil, fmt.Errorf("expand %s: %w", name, err)
	}
	var steps []step
	var gaps []Gap
	part, lacking := "", false // the part that a step is in, "" outside of any
	for i, line := range strings.Split(b.String(), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, args, _ := strings.Cut(line, " ")
		s := step{i + 1, verb, strings.TrimSpace(args)}
		switch {
		case verb == "needs" && part == "" && s.args != "":
			part = s.args
			var reason string
			if reason, lacking = t.Lacks[part]; lacking {
				gaps = append(gaps, Gap{Script: name, Line: s.line, Part: part, Reason: reason})
			}
		case verb == "end" && part != "" && s.args == "":
			part, lacking = "", false
		case verb == "needs" || verb == "end":
			return nil, nil, fmt.Errorf("parse %s:%d: needs and end come in pairs, with one name after needs", name, s.line)
		case lacking:
			gaps[len(gaps)-1].Steps++
		default:
			steps = append(steps, s)
		}
	}
	if part != "" {
		return nil, nil, fmt.Errorf("parse %s: %w", name, errors.New("needs "+part+" has no end"))
	}
	return steps, gaps, nil
}
