package hub

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"sync"
)

// maxPatterns is how many patterns a process keeps compiled.
const maxPatterns = 256

// patterns are compiled once: a project is loaded anew every few seconds, and a pattern is
// matched at every command.
var patterns struct {
	sync.Mutex
	compiled map[string]*regexp.Regexp
}

// pattern compiles a regular expression. Its error says what is wrong. It is safe for concurrent
// use.
func pattern(text string) (*regexp.Regexp, error) {
	patterns.Lock()
	defer patterns.Unlock()
	if known := patterns.compiled[text]; known != nil {
		return known, nil
	}
	compiled, err := regexp.Compile(text)
	if wrong := (*syntax.Error)(nil); errors.As(err, &wrong) {
		return nil, errors.New(wrong.Code.String())
	}
	if len(patterns.compiled) >= maxPatterns || patterns.compiled == nil {
		patterns.compiled = make(map[string]*regexp.Regexp)
	}
	patterns.compiled[text] = compiled
	return compiled, err
}
