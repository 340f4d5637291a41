package hub

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestChannelValidate(t *testing.T) {
	long := strings.Repeat("x", MaxNameBytes)
	for _, tt := range []struct {
		name    string
		channel Channel
		want    *Error
	}{
		{"a plain name", Channel{Category: "a", Name: "x"}, nil},
		{"any character", Channel{Category: "a", Name: ": # $ % * \x00 ключ"}, nil},
		{"as long as is allowed", Channel{Category: "a", Name: long[:MaxNameBytes-2]}, nil},
		{"no name", Channel{Category: "a"}, ErrBadRequest},
		{"the category without a name", Channel{Name: "x"}, nil},
		{"a category's mark without a category", Channel{Name: "a:x"}, ErrBadRequest},
		{"a category that begins as a name does", Channel{Category: "$a", Name: "x"}, ErrBadRequest},
		{"too long", Channel{Category: "a", Name: long + "x"}, ErrLimitExceeded},
		{"too long with its category", Channel{Category: "a", Name: long}, ErrLimitExceeded},
		{"not UTF-8", Channel{Category: "a", Name: "\xff"}, ErrBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) { expect(t, tt.channel.Validate(), tt.want) })
	}
}

func expect(t *testing.T, err error, want *Error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("error %v, expected %v", err, want)
	}
}

func TestProjectValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Project)
		want   *Error
	}{
		{"the defaults", func(*Project) {}, nil},
		{"no id", func(p *Project) { p.ID = "" }, ErrBadRequest},
		{"no secret", func(p *Project) { p.Secret = "" }, ErrBadRequest},
		{"a long name", func(p *Project) { p.Name = strings.Repeat("x", 256) }, ErrLimitExceeded},
		{"an invalid option", func(p *Project) { p.Options.AuthAttempts = 11 }, ErrBadRequest},
		{"a category name with a colon", func(p *Project) { p.Categories = map[string]Category{"a:b": {Name: "a:b"}} }, ErrBadRequest},
		{"an invalid option of a category", func(p *Project) {
			p.Categories = map[string]Category{"a": {Name: "a", CategoryOptions: CategoryOptions{Shards: 65}}}
		}, ErrBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Project{ID: "p", Name: "P", Secret: "s"}
			tt.change(p)
			expect(t, p.Validate(), tt.want)
		})
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, channel string
		want             bool
	}{
		{"", "chat:lobby", true},
		{"chat:*", "chat:lobby", true},
		{"chat:*", "chat:a/b", true},
		{"chat:*", "news:lobby", false},
		{"*:lobby", "chat:lobby", true},
		{"chat:lobb?", "chat:lobby", true},
		{"chat:[a-l]obby", "chat:lobby", true},
		{`chat:\*`, "chat:lobby", false},
		{"chat", "chat:lobby", false},
	} {
		t.Run(tt.pattern+" against "+tt.channel, func(t *testing.T) {
			matches, err := glob(tt.pattern)
			if err != nil || matches(tt.channel) != tt.want {
				t.Errorf("got %v, error %v", err == nil && matches(tt.channel), err)
			}
		})
	}
	for _, pattern := range []string{"[", "a[b", strings.Repeat("*", 256)} {
		if _, err := glob(pattern); !errors.Is(err, ErrBadRequest) {
			t.Errorf("pattern %q: error %v", pattern, err)
		}
	}
}

func TestCommandCost(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command Command
		want    time.Duration
	}{
		{"a small frame", Command{Bytes: 100}, commandCost},
		{"as many bytes as one command has", Command{Bytes: commandBytes}, commandCost},
		{"one byte more", Command{Bytes: commandBytes + 1}, 2 * commandCost},
		{"few channels", Command{channels: commandChannels - 1}, commandCost},
		{"many channels", Command{channels: 3 * commandChannels}, 4 * commandCost},
		{"a wait", Command{wait: time.Second}, commandCost + time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.command.cost(); got != tt.want {
				t.Errorf("got %v, expected %v", got, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	detailed := ErrLimitExceeded.With("300 bytes")
	if !errors.Is(detailed, ErrLimitExceeded) || errors.Is(detailed, ErrBadRequest) {
		t.Error("errors.Is compares the detail")
	}
	if got := detailed.Error(); got != "limit exceeded: 300 bytes" {
		t.Errorf("got %q", got)
	}
	for text, e := range map[string]*Error{
		"limit exceeded: 300 bytes":                    detailed,
		"limit exceeded: 300 bytes: send less":         detailed.WithHelp("send less"),
		"conflict: repeat after a moment":              ErrConflict,
		"conflict":                                     ErrConflict.WithHelp(""),
		"connection not found: it ended: connect then": ErrConnectionNotFound.With("it ended").WithHelp("connect then"),
	} {
		if got := e.Text(); got != text {
			t.Errorf("text %q, expected %q", got, text)
		}
	}
	if got := detailed.WithHelp("send less").Error(); got != "limit exceeded: 300 bytes" {
		t.Errorf("got %q with a help", got)
	}
	if got := Public(errors.New("the table is missing")); got != ErrInternal {
		t.Errorf("the public error is %v", got)
	}
	if got := Public(errors.Join(errors.New("the table is missing"), ErrOneWay)); got != ErrOneWay {
		t.Errorf("the public error is %v", got)
	}
}

// TestErrorReference checks that the reference has exactly the errors that are declared
// in error.go, in the order of their codes.
func TestErrorReference(t *testing.T) {
	source, err := os.ReadFile("error.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, m := range regexp.MustCompile(`&Error\{Code: (\d+), Message: "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		declared++
		if !slices.ContainsFunc(ErrorReference, func(e ErrorEntry) bool { return strconv.Itoa(e.Code) == m[1] && e.Message == m[2] }) {
			t.Errorf("the reference lacks error %s", m[1])
		}
	}
	if declared != len(ErrorReference) {
		t.Errorf("%d errors, %d entries", declared, len(ErrorReference))
	}
	sentence := regexp.MustCompile(`^[A-Za-z].*\.$`)
	for i, e := range ErrorReference {
		if !sentence.MatchString(e.Cause) || !sentence.MatchString(e.Cure) || e.Help == "" {
			t.Errorf("error %d: cause %q, cure %q, help %q", e.Code, e.Cause, e.Cure, e.Help)
		}
		if i > 0 && ErrorReference[i-1].Code >= e.Code {
			t.Errorf("error %d is not in order", e.Code)
		}
	}
}

func TestNewID(t *testing.T) {
	now := time.Unix(0x65000000, 0)
	a, b := NewID(now), NewID(now)
	if len(a) != 24 || !strings.HasPrefix(a, "65000000") || a == b {
		t.Errorf("ids %q and %q", a, b)
	}
}
