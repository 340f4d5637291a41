package admin

import (
	"regexp"
	"strings"
)

// curl is the call as a line for a POSIX shell. The key is for the reader to fill
// in: keys are stored as hashes, so that nobody can read one again.
func curl(httpURL, method string, body []byte) string {
	return strings.Join([]string{
		"curl", "-H", quote("X-API-Key: YOUR_KEY"), "-d", quote(string(body)), quote(httpURL + "/api/" + method),
	}, " ")
}

// plain are the words that mean themselves to every shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:-]+$`)

// quote writes a word for a POSIX shell. Within single quotes nothing is special
// but their end, which is left for each quote of the word.
func quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
