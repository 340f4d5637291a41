package admin

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// action is a method of the server API that the actions page offers. The page's
// forms, the JSON that is sent, what is refused before that, and the curl are all
// made of it: another method is another entry in actions.
type action struct {
	// Method is the last part of /api/{method}.
	Method string
	// Title and Help say what it does.
	Title, Help string
	// Warn, where it is not "", is what to think of before it is done.
	Warn   string
	Fields []parameter
}

// parameter is a field of a form, and a key of the request.
type parameter struct {
	// Name is the key in the request.
	Name  string
	Label string
	Kind  kind
	Help  string
	// Required fields are refused when they are empty; others are left out then.
	Required bool
	Example  string
}

// kind is how a field is typed and becomes JSON.
type kind string

const (
	// textLine is a line, and a JSON string.
	textLine kind = "text"
	// document is any JSON, sent as it is but for white space.
	document kind = "json"
	// textList is an item a line, and an array of strings. White space around an item is
	// not part of it.
	textList kind = "list"
)

// Parameters that several actions have.
var (
	channelParameter = parameter{Name: "channel", Label: "Channel", Kind: textLine, Help: "Written category:name.", Required: true, Example: "news:announcements"}
	userParameter    = parameter{Name: "user", Label: "User", Kind: textLine, Help: "As the user's token names it.", Required: true, Example: "alice"}
	dataParameter    = parameter{Name: "data", Label: "Data", Kind: document, Help: "Any JSON; a text is in quotes.", Required: true, Example: `{"text": "Tea is ready"}`}
	keyParameter     = parameter{Name: "idempotency_key", Label: "Idempotency key", Kind: textLine,
		Help: "Names the message: the same key in the same channel sends nothing again for five minutes.", Example: "order-1042"}
)

var actions = []action{
	{
		Method: "publish", Title: "Publish", Help: "Sends a message to everybody in a channel.",
		Fields: []parameter{channelParameter, dataParameter, keyParameter},
	},
	{
		Method: "broadcast", Title: "Broadcast", Help: "Sends the same message into several channels. Each has an answer of its own.",
		Fields: []parameter{
			{Name: "channels", Label: "Channels", Kind: textList, Help: "One a line, at most 1,000, each written category:name.", Required: true,
				Example: "news:announcements\nchat:lobby"},
			dataParameter, keyParameter,
		},
	},
	{
		Method: "presence", Title: "Presence", Help: "Lists who is in a channel, by connection. The category needs the option presence.",
		Fields: []parameter{channelParameter},
	},
	{
		Method: "presence_stats", Title: "Presence counts", Help: "Counts the connections and the users in a channel. The category needs the option presence.",
		Fields: []parameter{channelParameter},
	},
	{
		Method: "unsubscribe", Title: "Unsubscribe", Help: "Takes all connections of a user out of a channel.",
		Warn:   "A client may subscribe again unless its permissions end, too.",
		Fields: []parameter{userParameter, channelParameter},
	},
	{
		Method: "disconnect", Title: "Disconnect", Help: "Ends all connections of a user.",
		Warn:   "A client may connect again for as long as its token is good.",
		Fields: []parameter{userParameter},
	},
	{
		Method: "channels", Title: "Channels", Help: "Lists the channels that have subscribers. It reads the whole table.",
		Fields: []parameter{{Name: "pattern", Label: "Pattern", Kind: textLine, Help: "Only channels that match: * is any text, ? any character. Empty for all.", Example: "chat:*"}},
	},
	{
		Method: "info", Title: "Info", Help: "Counts connections, users, channels and subscriptions. It reads the whole table.",
	},
}

// actionOf finds the action of a method.
func actionOf(method string) (action, bool) {
	i := slices.IndexFunc(actions, func(a action) bool { return a.Method == method })
	if i < 0 {
		return action{}, false
	}
	return actions[i], true
}

// request makes the body of the call from what was typed: compact JSON with the
// fields in the order of the table. Where that does not do, problems says why by
// the name of the field, and there is no body. What only the server can know, such
// as whether there is such a category, is left to it.
func (a action) request(typed url.Values) (body []byte, problems map[string]string) {
	problems = make(map[string]string)
	var b bytes.Buffer
	b.WriteByte('{')
	for _, f := range a.Fields {
		value, problem := f.encode(typed.Get(f.Name))
		switch {
		case problem != "":
			problems[f.Name] = problem
			continue
		case value == nil:
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(literal(f.Name))
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	if len(problems) > 0 {
		return nil, problems
	}
	return b.Bytes(), nil
}

// encode makes JSON of what was typed, or nil of a field that is left out.
func (f parameter) encode(typed string) (value []byte, problem string) {
	if strings.TrimSpace(typed) == "" {
		if f.Required {
			return nil, f.Label + " is required."
		}
		return nil, ""
	}
	switch f.Kind {
	case document:
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(typed)); err != nil {
			return nil, f.Label + " is not JSON: " + err.Error() + "."
		}
		return b.Bytes(), ""
	case textList:
		var items []string
		for line := range strings.Lines(typed) {
			if item := strings.TrimSpace(line); item != "" {
				items = append(items, item)
			}
		}
		return literal(items), ""
	default:
		return literal(typed), ""
	}
}

// literal is a string, or a list of them, as JSON that people can read: <, > and &
// are not escaped.
func literal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// Strings always have a JSON form.
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
