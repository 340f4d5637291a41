package admin

import (
	"regexp"
	"strings"
)

// keyPlaceholder stands for an API key: only hashes of API keys are stored.
const keyPlaceholder = "YOUR_KEY"

// curl returns a call of the server API as a command for a POSIX shell.
func curl(httpURL, method string, body []byte) string {
	return strings.Join([]string{
		"curl", "-H", quote("X-API-Key: " + keyPlaceholder), "-d", quote(string(body)), quote(httpURL + "/api/" + method),
	}, " ")
}

// plain matches words that need no quotes in any shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:-]+$`)

// quote quotes a word for a POSIX shell. Within single quotes only the single quote is
// special: it ends them, is escaped, and starts them again.
func quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
