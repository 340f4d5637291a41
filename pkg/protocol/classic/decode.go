package classic

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"centrifuge/pkg/hub"
)

// The methods of the protocol. All but presence have a route of the same name.
const (
	MethodAuth        = "auth"
	MethodSubscribe   = "subscribe"
	MethodUnsubscribe = "unsubscribe"
	MethodBroadcast   = "broadcast"
	// MethodPresence is newer than 2013. Its route is $default.
	MethodPresence = "presence"
)

// MaxLabelBytes is the longest id and the longest method of a command. Replies have both, and
// must stay small enough to be sent.
const MaxLabelBytes = 255

// Envelope is a command whose params have not been decoded.
type Envelope struct {
	// ID is echoed in the reply; nil where the client gave none. At most MaxLabelBytes.
	ID *string
	// Method has at most MaxLabelBytes.
	Method string
	params object
}

// Auth holds the params of auth.
type Auth struct {
	Project, User, Token string
	Permissions          hub.Permissions
	// Batch means that the client understands frames that hold several pushes.
	Batch bool
}

// Broadcast holds the params of broadcast.
type Broadcast struct {
	Channel hub.Channel
	Data    json.RawMessage
}

// UserUnsubscribe holds the params of an application's unsubscribe.
type UserUnsubscribe struct {
	// User is "" where the params name none.
	User string
	From hub.Selection
}

// object is a JSON object. Case distinguishes its keys, unlike those of struct fields in
// encoding/json.
type object map[string]json.RawMessage

// malformed refuses a frame that is not JSON, for this reason.
func malformed(reason string) error {
	return (&hub.Error{Code: hub.ErrBadRequest.Code, Message: "malformed JSON data"}).WithHelp(reason)
}

// invalid refuses JSON that the schemas do not allow.
func invalid(what string) error {
	return &hub.Error{Code: hub.ErrBadRequest.Code, Message: what, Help: shapes[""]}
}

// shapes show what a frame and the params of each method look like.
var shapes = map[string]string{
	"":                `a command is {"id": "1", "method": "…", "params": {…}}`,
	MethodAuth:        `the params of auth are {"token": "…", "user": "…", "project_id": "…", "permissions": {}}`,
	MethodSubscribe:   `the params of subscribe are {"to": {"category": ["channel"]}}`,
	MethodUnsubscribe: `the params of unsubscribe are {"from": {"category": ["channel"]}}`,
	MethodBroadcast:   `the params of broadcast are {"category": "…", "channel": "…", "data": {}}`,
	MethodPresence:    `the params of presence are {"category": "…", "channel": "…"}`,
}

// inParams gives an error about the params of a method the shape of these params as its
// help.
func inParams(method string, err *error) {
	if e := (*hub.Error)(nil); errors.As(*err, &e) && e.Help == shapes[""] {
		*err = e.WithHelp(shapes[method])
	}
}

// Decode reads the envelope of a frame: schema/envelope.json. Every error of this
// package is a *hub.Error with the code of hub.ErrBadRequest, but for an id or a method of more
// than MaxLabelBytes, which is hub.ErrLimitExceeded. The Envelope then holds id and method as
// far as they can be read and are short enough, for the reply.
func Decode(frame []byte) (Envelope, error) {
	// The data of a broadcast is passed on as it is.
	wrong := hub.SyntaxError(frame, "params", "data")
	if wrong != "" && (!utf8.Valid(frame) || !json.Valid(frame)) {
		return Envelope{}, malformed(wrong)
	}
	o, err := asObject(frame, "the message")
	if err != nil {
		return Envelope{}, err
	}
	var e Envelope
	method, noMethod := o.label("method")
	var noID error
	if _, given := o["id"]; given {
		var id string
		if id, noID = o.label("id"); noID == nil {
			e.ID = &id
		}
	}
	params, noParams := o.object("params")
	e.Method, e.params = method, params
	if wrong != "" {
		// Some string in it is no text. Its id and method are echoed if they are.
		if hub.SyntaxError(o["id"]) != "" {
			e.ID = nil
		}
		if hub.SyntaxError(o["method"]) != "" {
			e.Method = ""
		}
		return e, malformed(wrong)
	}
	if noMethod == nil && noID == nil && noParams != nil && !slices.Contains(methods, method) {
		return e, UnknownMethod(method) // what its params are to be is not known
	}
	return e, cmp.Or(noMethod, noID, noParams)
}

// methods are the methods that a client may use.
var methods = []string{MethodAuth, MethodSubscribe, MethodUnsubscribe, MethodBroadcast, MethodPresence}

// Auth reads the params of auth: schema/auth.json. It fails with
// hub.ErrLimitExceeded too, for permissions that are too large.
func (e Envelope) Auth() (a Auth, err error) {
	defer inParams(MethodAuth, &err)
	if a.Token, err = e.params.text("token"); err != nil {
		return Auth{}, err
	}
	if a.User, err = e.params.text("user"); err != nil {
		return Auth{}, err
	}
	if a.Project, err = e.params.text("project_id"); err != nil {
		return Auth{}, err
	}
	if _, err = e.params.object("permissions"); err != nil {
		return Auth{}, err
	}
	if a.Batch, err = e.params.flag("batch"); err != nil {
		return Auth{}, err
	}
	a.Permissions, err = hub.DecodePermissions(e.params["permissions"])
	return a, err
}

// Subscribe reads the params of subscribe: schema/subscribe.json. The channels are in
// the order of their categories' names, and have no project.
func (e Envelope) Subscribe() (to []hub.Channel, err error) {
	defer inParams(MethodSubscribe, &err)
	return e.params.channels("to")
}

// Unsubscribe reads the params of unsubscribe: schema/unsubscribe.json. The channels
// have no project.
func (e Envelope) Unsubscribe() (from []hub.Channel, err error) {
	defer inParams(MethodUnsubscribe, &err)
	return e.params.channels("from")
}

// UnsubscribeUser reads the params of an application's unsubscribe:
// schema/rpc-unsubscribe.json.
func (e Envelope) UnsubscribeUser() (u UserUnsubscribe, err error) {
	defer inParams(MethodUnsubscribe, &err)
	if u.From, err = e.params.selection("from"); err != nil {
		return UserUnsubscribe{}, err
	}
	if _, given := e.params["user"]; given {
		u.User, err = e.params.text("user")
	}
	return u, err
}

// Broadcast reads the params of broadcast: schema/broadcast.json. The channel has no
// project.
func (e Envelope) Broadcast() (b Broadcast, err error) {
	defer inParams(MethodBroadcast, &err)
	if b.Channel, err = e.params.channel(); err != nil {
		return Broadcast{}, err
	}
	if _, err = e.params.object("data"); err != nil {
		return Broadcast{}, err
	}
	if keys, given := e.params["unique_keys"]; given && kind(keys) != '[' {
		return Broadcast{}, invalid("unique_keys is not an array")
	}
	b.Data = e.params["data"]
	return b, nil
}

// Presence reads the params of presence: schema/presence.json. The channel has no
// project.
func (e Envelope) Presence() (ch hub.Channel, err error) {
	defer inParams(MethodPresence, &err)
	return e.params.channel()
}

// kind is the first byte of a valid JSON value, from which its type follows.
func kind(value json.RawMessage) byte {
	for _, b := range value {
		switch b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

func asObject(value json.RawMessage, what string) (object, error) {
	if kind(value) != '{' {
		return nil, invalid(what + " is not an object")
	}
	var o object
	if err := json.Unmarshal(value, &o); err != nil {
		return nil, malformed(err.Error())
	}
	return o, nil
}

func (o object) object(key string) (object, error) {
	value, ok := o[key]
	if !ok {
		return nil, invalid(key + " is required")
	}
	return asObject(value, key)
}

func (o object) text(key string) (string, error) {
	value, ok := o[key]
	if !ok {
		return "", invalid(key + " is required")
	}
	var s string
	if kind(value) != '"' || json.Unmarshal(value, &s) != nil {
		return "", invalid(key + " is not a string")
	}
	return s, nil
}

// flag reads a boolean, false where there is none.
func (o object) flag(key string) (bool, error) {
	value, given := o[key]
	if !given {
		return false, nil
	}
	switch kind(value) {
	case 't':
		return true, nil
	case 'f':
		return false, nil
	}
	return false, invalid(key + " is not a boolean")
}

// label reads a text of at most MaxLabelBytes.
func (o object) label(key string) (string, error) {
	s, err := o.text(key)
	if n := len(s); n > MaxLabelBytes {
		return "", hub.ErrLimitExceeded.With(fmt.Sprintf("%s is %d bytes, at most %d are allowed", key, n, MaxLabelBytes))
	}
	return s, err
}

// channel reads the keys category and channel.
func (o object) channel() (ch hub.Channel, err error) {
	if ch.Category, err = o.text("category"); err != nil {
		return hub.Channel{}, err
	}
	ch.Name, err = o.text("channel")
	return ch, err
}

// channels reads a selection as the list of the channels that it names.
func (o object) channels(key string) (channels []hub.Channel, err error) {
	selection, err := o.selection(key)
	for _, category := range slices.Sorted(maps.Keys(selection)) {
		for _, name := range selection[category] {
			channels = append(channels, hub.Channel{Category: category, Name: name})
		}
	}
	return channels, err
}

func (o object) selection(key string) (hub.Selection, error) {
	categories, err := o.object(key)
	if err != nil {
		return nil, err
	}
	s := make(hub.Selection, len(categories))
	for category, value := range categories {
		// Unmarshal would accept null, for the list and in it.
		var list []json.RawMessage
		if kind(value) != '[' || json.Unmarshal(value, &list) != nil {
			return nil, invalid("a category in " + key + " is not an array of channels")
		}
		s[category] = make([]string, len(list))
		for i, item := range list {
			if kind(item) != '"' || json.Unmarshal(item, &s[category][i]) != nil {
				return nil, invalid("a channel in " + key + " is not a string")
			}
		}
	}
	return s, nil
}
