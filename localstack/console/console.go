// Package console writes log lines for people. It reads the JSON lines that slog writes,
// from any number of loggers and processes, so that these do not know who reads them.
//
// It shows what the lines contain and adds nothing. It leaves out a function's line about
// a refusal: the line of the frame or of the connection has the reason too. Loggers must
// not log secrets or the data of messages.
package console

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Writer turns JSON lines into lines for people. It is safe for concurrent use. A line
// that is not a JSON object passes unchanged.
type Writer struct {
	out    io.Writer
	colour bool

	mu   sync.Mutex
	rest []byte // an unfinished line
}

// NewWriter returns a Writer to out, with colours or without.
func NewWriter(out io.Writer, colour bool) *Writer { return &Writer{out: out, colour: colour} }

// Write writes the lines that end in p.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	var lines bytes.Buffer
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			break
		}
		if text, ok := w.format(line); ok {
			lines.WriteString(text)
			lines.WriteByte('\n')
		}
		w.rest = rest
	}
	w.rest = bytes.Clone(w.rest)
	if _, err := w.out.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// cutPrefix cuts the name of a function off a line of a process: "[auth] {…}". It returns
// the name as JSON.
func cutPrefix(line []byte) (function json.RawMessage, object []byte) {
	if rest, found := bytes.CutPrefix(line, []byte("[")); found {
		if name, object, found := bytes.Cut(rest, []byte("] {")); found {
			return strconv.AppendQuote(nil, string(name)), append([]byte("{"), object...)
		}
	}
	return nil, line
}

// attribute is a member of a JSON line.
type attribute struct {
	key   string
	value json.RawMessage
}

// decode returns the members of a JSON object in their order, and false for other text.
func decode(line []byte) ([]attribute, bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	var all []attribute
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		a := attribute{key: key.(string)} // a key of an object is a string
		if d.Decode(&a.value) != nil {
			return nil, false
		}
		all = append(all, a)
	}
	_, err := d.Token()
	return all, err == nil && !d.More()
}

// The colours, as parameters of the escape sequence SGR.
const (
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	purple = "35"
	cyan   = "36"
)

// colours are the colours of messages that have one of their own.
var colours = map[string]string{
	"connection opened":  green,
	"connection closed":  dim,
	"connection refused": yellow,
	"frame":              cyan,
	"request":            blue,
	"message dispatched": purple,
	"feed dispatched":    dim,
	"stream dispatched":  purple,
	"webhook":            purple,
}

// repeated are the messages of functions whose reason is in "frame" or "connection
// refused" too.
var repeated = map[string]bool{"command refused": true, "subscribe refused": true}

// messageWidth is the width of the column with the message.
const messageWidth = 20

// format returns a line for people, and false for one that is left out.
func (w *Writer) format(line []byte) (string, bool) {
	function, object := cutPrefix(line)
	attributes, ok := decode(object)
	if !ok {
		return string(line), true
	}
	if function != nil {
		attributes = append(attributes, attribute{"function", function})
	}
	var at, message string
	level := slog.LevelInfo
	colour, details := "", make([]string, 0, len(attributes))
	for _, a := range attributes {
		text := a.text()
		switch {
		case a.key == slog.TimeKey:
			at = clock(text)
		case a.key == slog.MessageKey:
			if repeated[text] {
				return "", false
			}
			message = printable(text)
		case a.key == slog.LevelKey:
			_ = level.UnmarshalText([]byte(text)) // an unknown level is shown as info
		case a.hidden(text):
		case a.key == "status" || a.key == "error" || a.key == "refused" || a.key == "reasons":
			c := a.colour(text)
			if c == yellow && colour != red || c == red {
				colour = c
			}
			details = append(details, w.paint(dim, a.key+"=")+w.paint(c, quoted(text)))
		default:
			details = append(details, w.paint(dim, a.key+"=")+quoted(text))
		}
	}
	switch {
	case level >= slog.LevelError:
		colour = red
	case level >= slog.LevelWarn:
		colour = yellow
	case colour == "":
		colour = colours[message]
	}
	if pad := messageWidth - len(message); pad > 0 {
		message += strings.Repeat(" ", pad)
	}
	return strings.TrimRight(strings.Join(append([]string{w.paint(dim, at), w.paint(colour, message)}, details...), " "), " "), true
}

func (w *Writer) paint(colour, text string) string {
	if !w.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// text is the value without the quotes of JSON. Of a duration, which slog writes in
// nanoseconds, it is the milliseconds.
func (a attribute) text() string {
	var text string
	if json.Unmarshal(a.value, &text) == nil {
		return text
	}
	if ns, err := strconv.ParseInt(string(a.value), 10, 64); a.key == "duration" && err == nil {
		return milliseconds(time.Duration(ns))
	}
	return string(a.value)
}

// milliseconds is a duration for people.
func milliseconds(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + "ms"
}

// hidden reports whether the attribute says nothing to people: the ids of a request, and
// counts of failures that are zero.
func (a attribute) hidden(text string) bool {
	switch a.key {
	case "request", "event_request":
		return true
	case "gone", "slow", "failed":
		return text == "0"
	}
	return text == ""
}

// colour is the colour of a value that shows success or failure.
func (a attribute) colour(text string) string {
	if a.key != "status" {
		return yellow
	}
	switch status, _ := strconv.Atoi(text); {
	case status >= 500:
		return red
	case status >= 400:
		return yellow
	}
	return green
}

// clock is the time of day in the zone of this machine.
func clock(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return printable(text)
	}
	return t.Local().Format("15:04:05.000")
}

// quoted is the value in quotes where it needs them to be read as one.
func quoted(text string) string {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return printable(text)
	}
	if strings.ContainsAny(text, " \"") {
		return strconv.Quote(text)
	}
	return printable(text)
}

// printable quotes a text with control characters, which could move the cursor of a
// terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
