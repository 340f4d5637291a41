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

// step is one line of a script.
type step struct {
	line int
	verb string
	args string
	// guess is the guess that the step is a part of, or nil.
	guess *guess
}

// guess is a part of a script that shows what AWS does not document.
type guess struct {
	line int
	text string
	// opened are the sockets that it opens.
	opened map[string]bool
}

func (s step) String() string { return fmt.Sprintf("%3d  %s %s", s.line, s.verb, truncate(s.args)) }

// truncate shortens a long text for the transcript.
func truncate(s string) string {
	if len(s) > 400 {
		return fmt.Sprintf("%s… (%d bytes)", s[:400], len(s))
	}
	return s
}

// functions are the template functions of scripts.
func (t Target) functions() template.FuncMap {
	return template.FuncMap{
		// project, secret and key are the id, secret and API key of the seeded project.
		"project": func() string { return t.Project },
		"secret":  func() string { return t.Secret },
		"key":     func() string { return t.APIKey },
		// token returns the HMAC-SHA256 token of a user of the seeded project.
		"token": func(user string) string { return auth.SignToken(t.Secret, user, t.Project) },
		// md5token returns the HMAC-MD5 token of the protocol of 2013.
		"md5token": func(user string) string { return auth.SignTokenMD5(t.Secret, user, t.Project) },
		// jwt returns a JWT that expires in the given seconds, with claims in addition
		// to sub and exp.
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
		// channels returns n channel names as a JSON array.
		"channels": func(n int) string {
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf(`"c%d"`, i)
			}
			return "[" + strings.Join(names, ",") + "]"
		},
		// id returns a value that is unique to this run.
		"id": func() string { return hub.NewID(time.Now()) },
	}
}

// WrongGuess is a guess that a target disproved.
type WrongGuess struct {
	// Script is the name of the script, Line the line of the guess.
	Script string `json:"script"`
	Line   int    `json:"line"`
	// Assumed is the text of the guess, Seen what happened instead.
	Assumed string `json:"assumed"`
	Seen    string `json:"seen"`
}

// SkippedPart is a part of a script that a target cannot run.
type SkippedPart struct {
	// Script is the name of the script, Line the line of its "needs".
	Script string `json:"script"`
	Line   int    `json:"line"`
	// Steps is the number of skipped steps.
	Steps int `json:"steps"`
	// Feature is the feature that the target lacks, Reason why.
	Feature string `json:"feature"`
	Reason  string `json:"reason"`
}

// Skipped returns the parts of a script that Run skips on the target, in order.
func Skipped(target Target, name, script string) ([]SkippedPart, error) {
	_, skipped, err := target.withDefaults().parse(name, script)
	return skipped, err
}

// parse returns the steps of a script for this target and the parts that it skips.
func (t Target) parse(name, text string) ([]step, []SkippedPart, error) {
	tpl, err := template.New(name).Funcs(t.functions()).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", name, err)
	}
	var b strings.Builder
	if err := tpl.Execute(&b, nil); err != nil {
		return nil, nil, fmt.Errorf("expand %s: %w", name, err)
	}
	var steps []step
	var skipped []SkippedPart
	// The current part: its feature, "" outside of one, whether the target lacks it, and
	// its guess, if it is one.
	feature, lacking := "", false
	var current *guess
	for i, line := range strings.Split(b.String(), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, args, _ := strings.Cut(line, " ")
		s := step{i + 1, verb, strings.TrimSpace(args), current}
		switch {
		case (verb == "needs" || verb == "guess") && feature == "" && s.args != "":
			text := ""
			feature, text, _ = strings.Cut(s.args, " ")
			if (verb == "guess") != (text != "") {
				return nil, nil, fmt.Errorf("parse %s:%d: write needs NAME or guess NAME TEXT", name, s.line)
			}
			if verb == "guess" {
				current = &guess{line: s.line, text: text, opened: make(map[string]bool)}
			}
			var reason string
			if reason, lacking = t.Lacks[feature]; lacking {
				skipped = append(skipped, SkippedPart{Script: name, Line: s.line, Feature: feature, Reason: reason})
			}
		case verb == "end" && feature != "" && s.args == "":
			feature, lacking, current = "", false, nil
		case verb == "needs" || verb == "guess" || verb == "end":
			return nil, nil, fmt.Errorf("parse %s:%d: unexpected %s: write needs NAME or guess NAME TEXT, then steps, then end", name, s.line, verb)
		case lacking:
			skipped[len(skipped)-1].Steps++
		default:
			if socket, uses := s.socket(); uses && current != nil {
				current.opened[socket] = current.opened[socket] || verb == "open"
				if !current.opened[socket] {
					return nil, nil, fmt.Errorf("parse %s:%d: a guess uses only sockets that it opens: open %s in it", name, s.line, socket)
				}
			}
			steps = append(steps, s)
		}
	}
	if feature != "" {
		return nil, nil, fmt.Errorf("parse %s: the part %s has no end", name, feature)
	}
	return steps, skipped, nil
}

// socket returns the name of the socket that a step uses.
func (s step) socket() (name string, uses bool) {
	switch s.verb {
	case "refused", "api", "rpc", "http", "status", "becomes":
		return "", false
	}
	name, _, _ = strings.Cut(s.args, " ")
	return name, true
}
