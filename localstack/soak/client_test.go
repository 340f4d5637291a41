package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// belief is what a client may expect of its subscription in a channel.
type belief int

const (
	out belief = iota
	in
	either
)

func (b belief) String() string { return [...]string{"out", "in", "either"}[b] }

// event is what changes the subscription of a connection in a channel: a command on it, or
// an auth.
type event struct {
	to belief
	// group is the same for commands that may have reached API Gateway in one millisecond.
	group int
	// answered is zero until the answer, void means that the command had no effect.
	answered time.Time
	void     bool
}

// link is one connection of a client, from the handshake to its end.
type link struct {
	r          *round
	name, user string
	conn       *websocket.Conn
	jwt        bool          // otherwise its tokens confirm no permissions
	ended      chan struct{} // closed when nothing more is received

	mu       sync.Mutex
	pending  map[string]*command // by id
	answered chan struct{}       // closed and replaced at every answer
	n, group int                 // of the latest command
	auths    int                 // the id of the latest auth
	events   map[string][]*event // by channel, in the order in which they were sent
	// since is, for channels that it has left without doubt, when it was told so.
	since        map[string]time.Time
	disconnected time.Time // the application was told that the user is disconnected
	entered      time.Time // the first successful auth was answered
	spans        []span
	received     map[int]int       // by number of the message
	offsets      map[string]uint64 // the latest, by channel and epoch
}

// span is a time in which a link was in a channel without doubt.
type span struct {
	channel  string
	from, to time.Time // to is zero while it lasts
}

type command struct {
	method string
	events map[string]*event // by channel
	n      int               // of a broadcast
	sent   time.Time
}

type reply struct {
	Ack     bool
	ID      *string
	Method  string
	Result  json.RawMessage
	Error   string
	Code    int
	Detail  string
	Refused map[string][]string

	Message           string // of API Gateway
	Category, Channel string // of a push, like all that follows
	Event             string
	Data              struct{ N int }
	Offset            uint64
	Epoch             string
}

func (r *reply) ok() bool { return r.Error == "" }

// dial opens a connection. The client with an origin has it in its handshake.
func (r *round) dial(name, user, origin string, jwt bool) (*link, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), hang)
	defer cancel()
	header := make(http.Header)
	if origin != "" {
		header.Set("Origin", origin)
	}
	conn, response, err := websocket.Dial(ctx, r.rig.WebSocketURL, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	l := &link{
		r: r, name: name, user: user, conn: conn, jwt: jwt, ended: make(chan struct{}), answered: make(chan struct{}),
		pending: make(map[string]*command), events: make(map[string][]*event), since: make(map[string]time.Time),
		received: make(map[int]int), offsets: make(map[string]uint64),
	}
	r.note("%s connects", name)
	go l.read()
	return l, nil
}

func (l *link) read() {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.r.note("%s: the connection has ended", l.name)
		l.leave(nil, time.Now())
		close(l.ended)
	}()
	for {
		// Only the end of the connection ends it.
		_, frame, err := l.conn.Read(context.Background())
		if err != nil {
			return
		}
		var f reply
		if err := json.Unmarshal(frame, &f); err != nil {
			l.r.fail("%s received %s: %v", l.name, frame, err)
			continue
		}
		switch {
		case f.Message != "" && f.Category == "":
			l.r.fail("%s: API Gateway answered %s", l.name, frame)
		case f.Ack:
			l.answer(f, frame)
		case f.Event == "":
			l.message(f)
		}
	}
}

// message checks a message against what the client was told before it was published.
func (l *link) message(f reply) {
	began := l.r.began(f.Data.N)
	l.mu.Lock()
	defer l.mu.Unlock()
	channel := hub.Channel{Category: f.Category, Name: f.Channel}.String()
	l.received[f.Data.N]++
	l.r.note("%s received message %d in %s", l.name, f.Data.N, channel)
	if since := l.since[channel]; !since.IsZero() && began.After(since) {
		l.r.fail("%s received message %d in %s, which was published after its unsubscribe was acknowledged", l.name, f.Data.N, channel)
	}
	if !l.disconnected.IsZero() && began.After(l.disconnected) {
		l.r.fail("%s received message %d in %s, which was published after its disconnect was acknowledged", l.name, f.Data.N, channel)
	}
	if stream := channel + " " + f.Epoch; f.Offset > 0 {
		if f.Offset <= l.offsets[stream] {
			l.r.fail("%s received offset %d in %s after %d", l.name, f.Offset, stream, l.offsets[stream])
		}
		l.offsets[stream] = f.Offset
	}
	if l.received[f.Data.N] > 1 {
		l.r.fail("%s received message %d in %s %d times", l.name, f.Data.N, channel, l.received[f.Data.N])
	}
}

// leave ends the spans in channels, all for nil, at a time. The caller holds mu.
func (l *link) leave(channels []string, at time.Time) {
	for i, s := range l.spans {
		if s.to.IsZero() && (channels == nil || slices.Contains(channels, s.channel)) {
			l.spans[i].to = at
		}
	}
}

// send sends a command, which changes the belief about channels when it is answered. n is the
// number of the message in it. Unless overtake is set, API Gateway receives it in a later
// millisecond than all commands before it.
func (l *link) send(method string, params map[string]any, to belief, channels []string, n int, overtake bool) {
	if !overtake {
		// The gateway has read all earlier frames when it answers a ping.
		ctx, cancel := context.WithTimeout(l.r.t.Context(), hang)
		err := l.conn.Ping(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			l.r.fail("%s: no pong", l.name)
		}
		for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
			l.r.pause(time.Millisecond)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !overtake {
		l.group++
	}
	l.n++
	id := strconv.Itoa(l.n)
	c := &command{method: method, events: make(map[string]*event), n: n, sent: time.Now()}
	for _, ch := range channels {
		c.events[ch] = &event{to: to, group: l.group}
		l.events[ch] = append(l.events[ch], c.events[ch])
		delete(l.since, ch)
	}
	switch method {
	case "auth":
		l.auths = l.n
		l.leave(nil, time.Now())
	case "unsubscribe":
		l.leave(channels, time.Now())
	}
	l.pending[id] = c
	frame, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		l.r.fail("%v", err)
	}
	l.r.note("%s -> %s %s %s", l.name, id, method, l.r.shown(params))
	// A connection that has ended answers nothing.
	_ = l.conn.Write(l.r.t.Context(), websocket.MessageText, frame)
}

func (l *link) answer(f reply, frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if f.ID == nil || l.pending[*f.ID] == nil {
		l.r.fail("%s received the answer %s to no command", l.name, frame)
		return
	}
	l.r.note("%s <- %s %s %s %s refused %v", l.name, *f.ID, f.Method, f.Error, f.Detail, f.Refused)
	c := l.pending[*f.ID]
	delete(l.pending, *f.ID)
	overtaken := c.method == "auth" && f.Code == hub.ErrConflict.Code && *f.ID != strconv.Itoa(l.auths)
	if !f.ok() && !overtaken && !l.r.expected(f.Code) {
		l.r.fail("%s: %s was answered %s", l.name, c.method, frame)
	}
	refused := make(map[string]bool)
	for category, names := range f.Refused {
		for _, name := range names {
			refused[hub.Channel{Category: category, Name: name}.String()] = true
		}
	}
	switch {
	case c.method == "auth" && f.ok():
		l.renewed(c, refused, now)
	case c.method == "broadcast" && f.ok():
		l.r.published(c.n)
	}
	renewing := slices.ContainsFunc(slices.Collect(maps.Values(l.pending)), func(c *command) bool { return c.method == "auth" })
	for ch, e := range c.events {
		e.answered, e.void = now, !f.ok() || refused[ch]
		events := l.events[ch]
		if e.void || events[len(events)-1] != e || slices.ContainsFunc(events, func(o *event) bool { return o.group == e.group && o.to != e.to }) {
			continue
		}
		switch {
		case e.to == in && !renewing:
			l.spans = append(l.spans, span{channel: ch, from: now})
		case e.to == out:
			l.since[ch] = now
		}
	}
	close(l.answered)
	l.answered = make(chan struct{})
}

// renewed is the effect of an auth on the beliefs: the client is out of the channels that
// it was refused. Where a command on the channel was in progress the order is not known.
func (l *link) renewed(c *command, refused map[string]bool, now time.Time) {
	if l.entered.IsZero() {
		l.entered = now
	}
	for ch, events := range l.events {
		overlap := slices.ContainsFunc(events, func(e *event) bool { return e.answered.IsZero() || e.answered.After(c.sent) })
		switch {
		case overlap:
			l.events[ch] = append(events, &event{to: either, group: l.group, answered: now})
		case refused[ch]:
			l.events[ch] = append(events, &event{to: out, group: l.group, answered: now})
		}
	}
}

// believes is what the answered commands say about a channel.
func (l *link) believes(ch string) belief {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := slices.DeleteFunc(slices.Clone(l.events[ch]), func(e *event) bool { return e.void })
	if len(events) == 0 {
		return out
	}
	last := events[len(events)-1]
	for _, e := range events {
		if e.group == last.group && e.to != last.to {
			return either
		}
	}
	return last.to
}

// alive reports whether the connection has not ended.
func (l *link) alive() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// authenticated reports whether an auth has succeeded.
func (l *link) authenticated() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.entered.IsZero()
}

// settle waits until every command is answered, or the connection has ended.
func (l *link) settle() {
	timeout := time.After(hang)
	for {
		l.mu.Lock()
		open, answered := slices.Sorted(maps.Keys(l.pending)), l.answered
		l.mu.Unlock()
		if len(open) == 0 {
			return
		}
		select {
		case <-answered:
		case <-l.ended:
			return
		case <-timeout:
			l.r.fail("%s: the commands %v were not answered", l.name, open)
			return
		}
	}
}

// hangUp ends the connection without a close frame.
func (l *link) hangUp() {
	l.r.note("%s hangs up", l.name)
	l.mu.Lock()
	l.leave(nil, time.Now())
	l.mu.Unlock()
	_ = l.conn.CloseNow()
	<-l.ended
}

// fence returns when the client has received all that was posted to it before. It is false
// when the connection has ended.
func (l *link) fence() bool {
	l.send("subscribe", map[string]any{"to": map[string][]string{}}, out, nil, 0, true)
	l.settle()
	return l.alive()
}

// authenticate sends auth with the present secret.
func (l *link) authenticate(random *rand.Rand) {
	grants := []map[string][]string{{}, {"open": {}, "room": {}, "wide": {}}, {"open": {"a"}, "room": {}}, {"open": {}, "wide": {"b"}}}
	granted := grants[random.IntN(len(grants))]
	secret := l.r.secretNow()
	token := auth.SignToken(secret, l.user, project)
	if l.jwt {
		var err error
		token, err = auth.SignJWT(secret, map[string]any{"sub": l.user, "exp": l.r.expires.Unix(), "permissions": granted})
		if err != nil {
			l.r.fail("%v", err)
		}
	}
	l.send("auth", map[string]any{"token": token, "user": l.user, "project_id": project, "permissions": granted}, out, nil, 0, false)
}

// client acts for some random steps, on one connection after another.
func (r *round) client(name, origin string, random *rand.Rand) {
	var l *link
	links := 0
	for range 12 + random.IntN(20) {
		if l == nil || !l.alive() {
			links++
			var err error
			if l, err = r.dial(fmt.Sprintf("%s%d", name, links), name, origin, random.IntN(3) > 0); err != nil {
				r.fail("%s connects: %v", name, err)
				return
			}
			r.add(l)
			l.authenticate(random)
			l.settle()
			if !l.authenticated() {
				l.hangUp()
				continue
			}
		}
		r.pause(time.Duration(random.IntN(8)) * time.Millisecond)
		overtake := random.IntN(4) == 0
		switch n := random.IntN(21); {
		case n < 7:
			channels := r.draw(random, 3)
			l.send("subscribe", map[string]any{"to": selection(channels)}, in, channels, 0, overtake)
		case n < 12:
			channels := r.draw(random, 2)
			l.send("unsubscribe", map[string]any{"from": selection(channels)}, out, channels, 0, overtake)
		case n < 15:
			channel := r.draw(random, 1)[0]
			category, name := split(channel)
			number := r.publication(channel)
			l.send("broadcast", map[string]any{"category": category, "channel": name, "data": map[string]int{"n": number}}, out, nil, number, true)
		case n < 16:
			category, name := split(r.draw(random, 1)[0])
			l.send("presence", map[string]any{"category": category, "channel": name}, out, nil, 0, true)
		case n < 18:
			if random.IntN(3) == 0 {
				l.settle()
			}
			l.authenticate(random)
			if random.IntN(2) == 0 {
				l.settle()
			}
		case n < 19:
			l.hangUp()
		default:
			l.settle()
		}
	}
}
