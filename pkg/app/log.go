package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// maxLoggedBytes limits each value of a log line. Values repeat what others send, such as
// an Origin header, a path or the text of an error, and the owner pays for the log.
const maxLoggedBytes = 512

// NewLog returns a logger that writes JSON lines to w, each with the id of the Lambda request.
// A value has at most maxLoggedBytes before JSON's escapes, and "…" where it was longer.
// Characters that are not printable, such as those that reverse the direction of text, are
// written as escape sequences of Go.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(withRequest{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: bound})})
}

// bound bounds the value of an attribute.
func bound(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		return slog.String(a.Key, shorten(v))
	case error:
		return slog.String(a.Key, shorten(v.Error()))
	case slog.Level:
		return a
	default:
		if a.Value.Kind() != slog.KindAny {
			return a
		}
		if b, err := json.Marshal(v); err != nil || len(b) > maxLoggedBytes {
			return slog.String(a.Key, shorten(string(b)))
		}
		return a
	}
}

// shorten cuts a text to maxLoggedBytes and escapes what is not printable.
func shorten(text string) string {
	rest := ""
	if len(text) > maxLoggedBytes {
		end := maxLoggedBytes
		for end > maxLoggedBytes-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text, rest = text[:end], "…"
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		text = escape(text)
	}
	return text + rest
}

// escape writes each character that is not printable, and each byte that is not UTF-8, as an
// escape sequence of Go.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			b.WriteRune(r)
			continue
		}
		quoted := fmt.Sprintf("%+q", string(r))
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// withRequest adds the id of the Lambda request to every line that is logged during
// one.
type withRequest struct{ slog.Handler }

func (h withRequest) Handle(ctx context.Context, r slog.Record) error {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("request", lc.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequest{h.Handler.WithAttrs(attrs)}
}

func (h withRequest) WithGroup(name string) slog.Handler {
	return withRequest{h.Handler.WithGroup(name)}
}
