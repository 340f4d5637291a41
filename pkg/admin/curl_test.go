package admin

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// words runs a command in a shell in which curl prints its arguments, and returns the
// arguments.
func words(t interface{ Fatal(...any) }, line string) []string {
	// Each word ends with a NUL, the only byte that a word cannot contain.
	out, err := exec.Command("sh", "-c", "curl() { for word; do printf '%s\\0' \"$word\"; done; }\n"+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestCurlCommand(t *testing.T) {
	t.Run("a call is one line", func(t *testing.T) {
		got := curl("https://api.example.com", "publish", []byte(`{"channel":"news:a","data":{"text":"it's \"on\" & <b>"}}`))
		want := `curl -H 'X-API-Key: YOUR_KEY' -d '{"channel":"news:a","data":{"text":"it'\''s \"on\" & <b>"}}' https://api.example.com/api/publish`
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("a shell passes any body unchanged", func(t *testing.T) {
		typed := rapid.OneOf(rapid.String(), rapid.StringMatching("['\"\\\\$`!*?~#;&|<>(){}\\[\\]\n\t @-]{0,20}"))
		rapid.Check(t, func(t *rapid.T) {
			body := string(literal(typed.Draw(t, "text")))
			got := words(t, curl("http://127.0.0.1:8080/it's", "info", []byte(body)))
			want := []string{"-H", "X-API-Key: YOUR_KEY", "-d", body, "http://127.0.0.1:8080/it's/api/info"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("-expected +got:\n%s", diff)
			}
		})
	})
}

func TestShellQuote(t *testing.T) {
	t.Run("a shell reads any word unchanged", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			word := strings.ReplaceAll(rapid.String().Draw(t, "word"), "\x00", "")
			if diff := cmp.Diff([]string{word}, words(t, "curl "+quote(word))); diff != "" {
				t.Fatalf("-expected +got:\n%s", diff)
			}
		})
	})
	t.Run("an empty word is quoted", func(t *testing.T) {
		if got := quote(""); got != "''" {
			t.Errorf("got %s", got)
		}
	})
}
