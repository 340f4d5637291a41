package centrifugo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"centrifuge/pkg/hub"
)

// MaxCommands is how many commands a frame may have. A client that comes back sends all its
// subscribes in one frame, at most hub.MaxChannels.
const MaxCommands = 512

// Command is a command of a client. Exactly one of the pointers is not nil, or Pong is true.
type Command struct {
	// ID is what the reply repeats. It is 0 for a pong, and means nothing with Send: neither
	// has a reply. With other commands it is never 0.
	ID uint32
	// Method is the key of the command, such as "presence_stats", for logs; "pong" for a pong.
	Method string
	// Refusal is the error with which the command is answered and not carried out: it requests
	// what does not exist here, or lacks what it needs. It is nil for other commands.
	Refusal *hub.Error
	// Pong is true for {}, with which a client answers a ping.
	Pong bool

	Connect       *ConnectRequest
	Subscribe     *SubscribeRequest
	Unsubscribe   *UnsubscribeRequest
	Publish       *PublishRequest
	Presence      *PresenceRequest
	PresenceStats *PresenceStatsRequest
	History       *HistoryRequest
	RPC           *RPCRequest
	Send          *SendRequest
	Refresh       *RefreshRequest
	SubRefresh    *SubRefreshRequest
	Ping          *PingRequest
}

// ConnectRequest begins a connection.
type ConnectRequest struct {
	// Token is the connection token, "" for none.
	Token string
	// Data is any JSON value for the application, nil for none.
	Data json.RawMessage
	// Subs are the positions of server-side subscriptions, by the channel as it was sent. Only
	// Channel, Recover and Since of them are meaningful. It is nil where there are none.
	Subs map[string]SubscribeRequest
	// Name and Version are what the client calls itself and its version.
	Name, Version string
	// Headers are headers that the client could not send in the handshake, nil for none.
	Headers map[string]string
}

// SubscribeRequest enters a channel.
type SubscribeRequest struct {
	// Channel is the channel as it was sent, never "": ParseChannel reads it.
	Channel string
	// Token is the subscription token, "" for none.
	Token string
	// Recover asks for the publications after Since.
	Recover bool
	Since   hub.Position
	// Data is any JSON value for the application, nil for none.
	Data json.RawMessage
	// Positioned, Recoverable and JoinLeave ask for these features of the subscription.
	Positioned, Recoverable, JoinLeave bool
	// RejectUnrecovered asks for hub.ErrUnrecoverablePosition instead of a subscription where
	// the recovery fails.
	RejectUnrecovered bool
}

// UnsubscribeRequest leaves a channel.
type UnsubscribeRequest struct {
	// Channel is the channel as it was sent, never "".
	Channel string
}

// PublishRequest publishes in a channel.
type PublishRequest struct {
	// Channel is the channel as it was sent, never "".
	Channel string
	// Data is any JSON value. It is nil only with a Refusal.
	Data json.RawMessage
}

// PresenceRequest lists the clients in a channel.
type PresenceRequest struct {
	// Channel is the channel as it was sent, never "".
	Channel string
}

// PresenceStatsRequest counts the clients in a channel.
type PresenceStatsRequest struct {
	// Channel is the channel as it was sent, never "".
	Channel string
}

// HistoryRequest reads the publications of a channel.
type HistoryRequest struct {
	// Channel is the channel as it was sent, never "".
	Channel string
	// Query selects the publications. A Since that the client sent empty is not nil.
	Query hub.HistoryQuery
}

// RPCRequest calls a method of the application.
type RPCRequest struct {
	// Method may be "".
	Method string
	// Data is any JSON value, nil for none.
	Data json.RawMessage
}

// SendRequest is a message to the application, without a reply.
type SendRequest struct {
	// Data is any JSON value, nil for none.
	Data json.RawMessage
}

// RefreshRequest renews the token of the connection.
type RefreshRequest struct {
	// Token is never "".
	Token string
}

// SubRefreshRequest renews the token of a subscription.
type SubRefreshRequest struct {
	// Channel is the channel as it was sent. It is "" from centrifuge-python 0.5.0, which names
	// none: then it is that of the token.
	Channel string
	// Token is "" only with a Refusal.
	Token string
}

// PingRequest asks whether the service answers. It is older than the pings of the server.
type PingRequest struct{}

// FrameError says what is wrong with a frame. Centrifugo closes a connection that sends such a
// frame, with hub.DisconnectBadRequest.
type FrameError struct {
	// ID is the id of the command that is wrong, 0 where it cannot be read, and Method its key,
	// "" where it cannot be read.
	ID     uint32
	Method string
	// Detail says what is wrong.
	Detail string
}

// Error is the reason of hub.DisconnectBadRequest and the detail.
func (e *FrameError) Error() string { return hub.DisconnectBadRequest.Reason + ": " + e.Detail }

// Decode reads the commands of a frame, one a line, in their order. A line feed at the end of the
// frame means nothing. Keys are case-sensitive, unknown keys are ignored, and null is the same as
// no value, except for data, where it is a value.
//
// Every error is a *FrameError. The commands before the one that is wrong are returned with it:
// Centrifugo carries them out before it closes the connection. A frame of more than MaxCommands
// has none.
func Decode(frame []byte) ([]Command, error) {
	frame = bytes.TrimSuffix(frame, []byte("\n"))
	lines := bytes.Count(frame, []byte("\n")) + 1
	if lines > MaxCommands {
		return nil, &FrameError{Detail: fmt.Sprintf("%d commands in a frame, at most %d are allowed", lines, MaxCommands)}
	}
	commands := make([]Command, 0, lines)
	for line := range bytes.SplitSeq(frame, []byte("\n")) {
		c, wrong := decode(line)
		if wrong != "" {
			if lines > 1 {
				wrong = fmt.Sprintf("command %d: %s", len(commands)+1, wrong)
			}
			return commands, &FrameError{ID: c.ID, Method: c.Method, Detail: wrong}
		}
		commands = append(commands, c)
	}
	return commands, nil
}

// decode reads a command. Where something is wrong, the command has its id and its method as far
// as they can be read.
func decode(line []byte) (Command, string) {
	var c Command
	o, wrong := readObject(line, "the command")
	f := fields{object: o}
	c.ID = uint32(f.uint("id", 32)) //nolint:gosec // it has 32 bits
	methods := slices.DeleteFunc(slices.Collect(maps.Keys(o)), func(key string) bool { return requests[key] == nil || !f.has(key) })
	if len(methods) == 1 {
		c.Method = methods[0]
	}
	// The data of an application is passed on as it is.
	if syntax := hub.SyntaxError(line, c.Method, "data"); syntax != "" {
		return c, syntax
	}
	switch {
	case wrong != "":
		return c, wrong
	case f.wrong != "":
		return c, f.wrong
	case len(methods) > 1:
		return c, "more than one command in an object"
	case len(methods) == 0 && c.ID == 0:
		return Command{Method: "pong", Pong: true}, ""
	case len(methods) == 0:
		return c, "no known command in the object"
	case c.ID == 0 && c.Method != "send":
		return c, c.Method + " has no id"
	}
	request, wrong := readObject(o[c.Method], c.Method)
	if wrong != "" {
		return c, wrong
	}
	r := fields{object: request, prefix: c.Method + "."}
	requests[c.Method](&c, &r)
	return c, r.wrong
}

// requests read the request of each command.
var requests = map[string]func(*Command, *fields){
	"connect": func(c *Command, f *fields) {
		c.Connect = &ConnectRequest{
			Token: f.text("token"), Data: f.object["data"], Subs: f.subs("subs"),
			Name: f.text("name"), Version: f.text("version"), Headers: f.texts("headers"),
		}
	},
	"subscribe": func(c *Command, f *fields) {
		r := f.subscribe(f.channel())
		c.Subscribe = &r
		switch {
		case f.int("type", 32) != 0 || f.int("phase", 32) != 0:
			c.Refusal = hub.ErrNotAvailable.With("only subscriptions to streams exist: leave out type and phase")
		case f.has("tf"):
			c.Refusal = hub.ErrNotAvailable.With("filters of tags do not exist: leave out tf")
		}
	},
	"unsubscribe": func(c *Command, f *fields) { c.Unsubscribe = &UnsubscribeRequest{f.channel()} },
	"publish": func(c *Command, f *fields) {
		c.Publish = &PublishRequest{Channel: f.channel(), Data: f.object["data"]}
		switch {
		case f.int("type", 32) != 0:
			c.Refusal = hub.ErrNotAvailable.With("only publications to streams exist: leave out type")
		case c.Publish.Data == nil:
			c.Refusal = hub.ErrBadRequest.With("publish has no data")
		}
	},
	"presence":       func(c *Command, f *fields) { c.Presence = &PresenceRequest{f.channel()} },
	"presence_stats": func(c *Command, f *fields) { c.PresenceStats = &PresenceStatsRequest{f.channel()} },
	"history": func(c *Command, f *fields) {
		c.History = &HistoryRequest{f.channel(), hub.HistoryQuery{
			Since: f.position("since"), Limit: int(f.int("limit", 32)), Reverse: f.flag("reverse"),
		}}
	},
	"rpc":  func(c *Command, f *fields) { c.RPC = &RPCRequest{f.text("method"), f.object["data"]} },
	"send": func(c *Command, f *fields) { c.Send = &SendRequest{f.object["data"]} },
	"refresh": func(c *Command, f *fields) {
		c.Refresh = &RefreshRequest{f.text("token")}
		if c.Refresh.Token == "" {
			f.fail("token", "is empty")
		}
	},
	"sub_refresh": func(c *Command, f *fields) {
		c.SubRefresh = &SubRefreshRequest{f.text("channel"), f.text("token")}
		switch {
		case f.int("type", 32) != 0:
			c.Refusal = hub.ErrNotAvailable.With("only subscriptions to streams exist: leave out type")
		case c.SubRefresh.Token == "":
			c.Refusal = hub.ErrBadRequest.With("sub_refresh has no token")
		}
	},
	"ping": func(c *Command, _ *fields) { c.Ping = &PingRequest{} },
}

// object is a JSON object. Case distinguishes its keys, unlike those of struct fields in
// encoding/json.
type object map[string]json.RawMessage

// readObject reads value as an object with no key twice, or says what is wrong with it.
func readObject(value []byte, what string) (object, string) {
	d := json.NewDecoder(bytes.NewReader(value))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, what + " is not an object"
	}
	o := make(object)
	for d.More() {
		// Between the braces of an object a token is a key.
		token, err := d.Token()
		if err != nil {
			return o, what + " is not JSON"
		}
		key, _ := token.(string)
		if _, twice := o[key]; twice {
			return o, fmt.Sprintf("%s has the key %.64q twice", what, key)
		}
		var member json.RawMessage
		if d.Decode(&member) != nil {
			return o, what + " is not JSON"
		}
		o[key] = member
	}
	return o, ""
}

// fields reads the members of an object, and remembers the first that is wrong.
type fields struct {
	object object
	// prefix is put before a key to name the member.
	prefix string
	wrong  string
}

func (f *fields) fail(key, what string) {
	if f.wrong == "" {
		f.wrong = f.prefix + key + " " + what
	}
}

// has reports whether there is a member that is not null.
func (f *fields) has(key string) bool {
	value, ok := f.object[key]
	return ok && string(value) != "null"
}

func (f *fields) text(key string) (s string) {
	if f.has(key) && json.Unmarshal(f.object[key], &s) != nil {
		f.fail(key, "is not a string")
	}
	return s
}

func (f *fields) flag(key string) (b bool) {
	if f.has(key) && json.Unmarshal(f.object[key], &b) != nil {
		f.fail(key, "is not a boolean")
	}
	return b
}

func (f *fields) uint(key string, bits int) (n uint64) {
	if !f.has(key) {
		return 0
	}
	n, err := strconv.ParseUint(string(f.object[key]), 10, bits)
	if err != nil {
		f.fail(key, fmt.Sprintf("is not an integer from 0 to %d", uint64(1)<<bits-1))
		return 0
	}
	return n
}

func (f *fields) int(key string, bits int) (n int64) {
	if !f.has(key) {
		return 0
	}
	n, err := strconv.ParseInt(string(f.object[key]), 10, bits)
	if err != nil {
		f.fail(key, fmt.Sprintf("is not an integer of %d bits", bits))
		return 0
	}
	return n
}

func (f *fields) channel() string {
	s := f.text("channel")
	if s == "" {
		f.fail("channel", "is empty")
	}
	return s
}

// members are the fields of a member that is an object; nil where there is none.
func (f *fields) members(key string) *fields {
	if !f.has(key) {
		return nil
	}
	o, wrong := readObject(f.object[key], f.prefix+key)
	if f.wrong == "" {
		f.wrong = wrong
	}
	return &fields{object: o, prefix: f.prefix + key + "."}
}

// take takes over what is wrong with a member.
func (f *fields) take(member *fields) {
	if f.wrong == "" {
		f.wrong = member.wrong
	}
}

func (f *fields) texts(key string) map[string]string {
	members := f.members(key)
	if members == nil {
		return nil
	}
	texts := make(map[string]string, len(members.object))
	for _, name := range slices.Sorted(maps.Keys(members.object)) {
		texts[name] = members.text(name)
	}
	f.take(members)
	return texts
}

func (f *fields) position(key string) *hub.Position {
	members := f.members(key)
	if members == nil {
		return nil
	}
	p := members.since()
	f.take(members)
	return &p
}

func (f *fields) since() hub.Position {
	return hub.Position{Epoch: f.text("epoch"), Offset: f.uint("offset", 64)}
}

// rejectUnrecovered is the bit of the flag of a subscribe. The other bits offer features that a
// server need not use.
const rejectUnrecovered = 2

func (f *fields) subscribe(channel string) SubscribeRequest {
	r := SubscribeRequest{
		Channel: channel, Token: f.text("token"), Recover: f.flag("recover"), Since: f.since(), Data: f.object["data"],
		Positioned: f.flag("positioned"), Recoverable: f.flag("recoverable"), JoinLeave: f.flag("join_leave"),
		RejectUnrecovered: f.int("flag", 64)&rejectUnrecovered != 0,
	}
	// Deltas are an offer of the client, which is never taken.
	f.text("delta")
	return r
}

func (f *fields) subs(key string) map[string]SubscribeRequest {
	members := f.members(key)
	if members == nil {
		return nil
	}
	subs := make(map[string]SubscribeRequest, len(members.object))
	for _, channel := range slices.Sorted(maps.Keys(members.object)) {
		what := fmt.Sprintf("%s%s[%.64q]", f.prefix, key, channel)
		o, wrong := readObject(members.object[channel], what)
		sub := &fields{object: o, prefix: what + ".", wrong: wrong}
		subs[channel] = sub.subscribe(channel)
		f.take(sub)
	}
	return subs
}
