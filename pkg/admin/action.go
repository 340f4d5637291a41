package admin

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// action is a method of the server API that the actions page offers. The form, its
// validation, the JSON request and the curl command are made from it: a new method is
// a new entry in actions.
type action struct {
	// Method is the last part of /api/{method}.
	Method string
	// Title and Help describe it.
	Title, Help string
	// Warn is a caution, "" for none.
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
	// Required fields must not be empty. Other fields are left out where they are.
	Required bool
	Example  string
}

// kind is the format of a field.
type kind string

const (
	// textLine is one line, sent as a JSON string.
	textLine kind = "text"
	// document is JSON, sent as it is, without insignificant white space.
	document kind = "json"
	// number is a whole number.
	number kind = "number"
	// flag is a checkbox, sent as true, or left out.
	flag kind = "flag"
	// textList has one item per line, sent as an array of strings. White space around an
	// item is removed.
	textList kind = "list"
)

// The parameters that several actions have.
var (
	channelParameter = parameter{Name: "channel", Label: "Channel", Kind: textLine, Help: "Written as category:name.", Required: true, Example: "chat:lobby"}
	userParameter    = parameter{Name: "user", Label: "User", Kind: textLine, Help: "The user in the token.", Required: true, Example: "alice"}
	dataParameter    = parameter{Name: "data", Label: "Data", Kind: document, Help: "Any JSON. A text needs quotes.", Required: true, Example: `{"text": "Tea is ready"}`}
	keyParameter     = parameter{Name: "idempotency_key", Label: "Idempotency key", Kind: textLine,
		Help: "Identifies the message. A second message with the same key in the same channel is not sent within five minutes.", Example: "order-1042"}
)

var actions = []action{
	{
		Method: "publish", Title: "Publish", Help: "Sends a message to all subscribers of a channel.",
		Fields: []parameter{channelParameter, dataParameter, keyParameter},
	},
	{
		Method: "broadcast", Title: "Broadcast", Help: "Sends the same message to several channels. Each channel has its own response.",
		Fields: []parameter{
			{Name: "channels", Label: "Channels", Kind: textList, Help: "One per line, at most 1,000, each written as category:name.", Required: true,
				Example: "chat:lobby\nchat:support"},
			dataParameter, keyParameter,
		},
	},
	{
		Method: "presence", Title: "Presence", Help: "Lists the connections in a channel. The category needs the option Presence.",
		Fields: []parameter{channelParameter},
	},
	{
		Method: "presence_stats", Title: "Presence counts", Help: "Counts the connections and the users in a channel. The category needs the option Presence.",
		Fields: []parameter{channelParameter},
	},
	{
		Method: "history", Title: "History", Help: "Reads the messages that a channel keeps. The category needs the options History size and History time.",
		Fields: []parameter{
			channelParameter,
			{Name: "limit", Label: "Limit", Kind: number, Help: "At most this many messages: 0 for only the position of the newest, -1 for as many as are allowed.", Required: true, Example: "10"},
			{Name: "since", Label: "Since", Kind: document, Help: "Only messages after this position, or before it where the newest are first.",
				Example: `{"offset": 41, "epoch": "6921d2fb0123456789abcdef"}`},
			{Name: "reverse", Label: "The newest first", Kind: flag, Help: "Otherwise the oldest are first.", Example: "true"},
		},
	},
	{
		Method: "history_remove", Title: "Remove history", Help: "The history of a channel returns nothing of what it holds now. Offsets go on.",
		Warn:   "Clients cannot recover these messages any more. This cannot be undone.",
		Fields: []parameter{channelParameter},
	},
	{
		Method: "unsubscribe", Title: "Unsubscribe", Help: "Unsubscribes all connections of a user from a channel.",
		Warn:   "A client may subscribe again while its permissions allow it.",
		Fields: []parameter{userParameter, channelParameter},
	},
	{
		Method: "disconnect", Title: "Disconnect", Help: "Closes all connections of a user.",
		Warn:   "A client may connect again while its token is valid.",
		Fields: []parameter{userParameter},
	},
	{
		Method: "channels", Title: "Channels", Help: "Lists the channels that have subscribers, 1,000 at a time. It reads the whole table.",
		Fields: []parameter{
			{Name: "pattern", Label: "Pattern", Kind: textLine, Help: "* matches any text, ? any character. Leave it empty for all channels.", Example: "chat:*"},
			{Name: "cursor", Label: "Cursor", Kind: textLine, Help: "The cursor of the last response, for the channels that follow.", Example: "Y2hhdDpsb2JieQ"},
		},
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

// request makes the JSON body of the call from the form, with the keys in the order
// of the table. Where a field is invalid there is no body, and problems says why, by
// the name of the field. The server checks the rest, such as whether the category
// exists.
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

// encode returns what was typed as JSON, nil for a field to leave out.
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
	case number:
		n, err := strconv.Atoi(strings.TrimSpace(typed))
		if err != nil {
			return nil, f.Label + " is not a whole number."
		}
		return strconv.AppendInt(nil, int64(n), 10), ""
	case flag:
		return []byte("true"), ""
	case textList:
		return literal(listOf(typed)), ""
	default:
		return literal(typed), ""
	}
}

// literal returns a string or a list of strings as JSON for people: <, > and & are
// not escaped.
func literal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// Strings always encode.
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
