package classic

import (
	"encoding/json"
	"unicode/utf8"

	"centrifuge/pkg/hub"
)

// The methods of the protocol, which are also the names of their routes.
const (
	MethodAuth        = "auth"
	MethodSubscribe   = "subscribe"
	MethodUnsubscribe = "unsubscribe"
	MethodBroadcast   = "broadcast"
	// MethodPresence is not of 2013; it has no route of its own.
	MethodPresence = "presence"
)

// Envelope is what every command has.
type Envelope struct {
	// ID is echoed in the reply; nil where the client gave none.
	ID     *string
	Method string
	params object
}

// Auth holds the params of auth.
type Auth struct {
	Project, User, Token string
	Permissions          hub.Permissions
}

// object is a JSON object whose keys are told apart by case, which struct fields
// of encoding/json are not.
type object map[string]json.RawMessage

// malformed is the refusal of what is no JSON at all.
var malformed = &hub.Error{Code: hub.ErrBadRequest.Code, Message: "malformed JSON data"}

// invalid is the refusal of JSON that the schemas do not allow.
func invalid(what string) error {
	return &hub.Error{Code: hub.ErrBadRequest.Code, Message: what}
}

// Decode reads the envelope of a frame: schema/envelope.json. Every error of this
// package is a *hub.Error with the code of hub.ErrBadRequest.
func Decode(frame []byte) (Envelope, error) {
	if !utf8.Valid(frame) || !json.Valid(frame) {
		return Envelope{}, malformed
	}
	o, err := asObject(frame, "the message")
	if err != nil {
		return Envelope{}, err
	}
	var e Envelope
	if e.Method, err = o.text("method"); err != nil {
		return Envelope{}, err
	}
	if _, given := o["id"]; given {
		id, err := o.text("id")
		if err != nil {
			return Envelope{}, err
		}
		e.ID = &id
	}
	if e.params, err = o.object("params"); err != nil {
		return Envelope{}, err
	}
	return e, nil
}

// Auth reads the params of auth: schema/auth.json. It fails with
// hub.ErrLimitExceeded too, for permissions that are too large.
func (e Envelope) Auth() (a Auth, err error) {
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
	a.Permissions, err = hub.DecodePermissions(e.params["permissions"])
	return a, err
}

// Subscribe reads the params of subscribe: schema/subscribe.json.
func (e Envelope) Subscribe() (hub.Selection, error) { return e.params.selection("to") }

// Unsubscribe reads the params of unsubscribe: schema/unsubscribe.json.
func (e Envelope) Unsubscribe() (hub.Selection, error) { return e.params.selection("from") }

// Broadcast reads the params of broadcast: schema/broadcast.json.
func (e Envelope) Broadcast() (p hub.Publication, err error) {
	if p.Category, err = e.params.text("category"); err != nil {
		return hub.Publication{}, err
	}
	if p.Channel, err = e.params.text("channel"); err != nil {
		return hub.Publication{}, err
	}
	if _, err = e.params.object("data"); err != nil {
		return hub.Publication{}, err
	}
	if keys, given := e.params["unique_keys"]; given && kind(keys) != '[' {
		return hub.Publication{}, invalid("unique_keys is not an array")
	}
	p.Data = e.params["data"]
	return p, nil
}

// Presence reads the params of presence: schema/presence.json.
func (e Envelope) Presence() (ch hub.Channel, err error) {
	if ch.Category, err = e.params.text("category"); err != nil {
		return hub.Channel{}, err
	}
	ch.Name, err = e.params.text("channel")
	return ch, err
}

// User reads the user whom an application's unsubscribe concerns, "" where it
// names none: schema/rpc-unsubscribe.json.
func (e Envelope) User() (string, error) {
	if _, given := e.params["user"]; !given {
		return "", nil
	}
	return e.params.text("user")
}

// kind is the first byte of a valid JSON value, which tells its type.
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
		return nil, malformed
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

func (o object) selection(key string) (hub.Selection, error) {
	categories, err := o.object(key)
	if err != nil {
		return nil, err
	}
	s := make(hub.Selection, len(categories))
	for category, value := range categories {
		// Unmarshal would read null, for the list or in it, as nothing.
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
