package hub

import (
	"fmt"
	"slices"
	"testing"
)

// The rules of Occupancies as a model: each step is one request. All orders of the steps of some
// invocations are explored.

// modelCommand is what an invocation does to the subscription of a client to the channel.
type modelCommand struct {
	client int
	does   modelAction
}

// modelAction is what happens to a subscription.
type modelAction string

const (
	joins   modelAction = "joins"   // renews a subscription that is there
	quits   modelAction = "quits"   // also one that has expired
	renews  modelAction = "renews"  // no effect where there is none
	expires modelAction = "expires" // and a message comes then
)

// modelSubscription is the state of a subscription.
type modelSubscription int8

const (
	absent modelSubscription = iota
	expired
	valid
)

// modelVariant leaves out a rule.
type modelVariant struct {
	occupiesFirst  bool // before the subscription is written
	trusts         bool // who has occupied a channel does not check
	givesUp        bool // a check that others disturb does not begin again
	vacatesBlindly bool // whatever has changed since the check has begun
	joinsOnly      bool // a renewal does not occupy the channel
	occupiesLater  bool // a renewal that finds the channel occupied records nothing
}

// The places in an invocation: what its next step is.
const (
	toBegin = iota
	toWrite // after toBegin in a variant
	toFind  // whether what was renewed is a subscriber
	toOccupy
	toRead
	toSearch
	toVacate
)

// modelInvocation is an invocation at a place. Seen is the version that its check has read.
type modelInvocation struct{ command, place, seen int }

// modelState is comparable.
type modelState struct {
	subscribed  [3]modelSubscription
	occupied    bool
	version     int
	invocations [5]modelInvocation
}

// model explores the commands of invocations.
type model struct {
	modelVariant
	commands [][]modelCommand // of each invocation, one after the other
	seen     map[modelState]bool
	wrong    []modelState // where all have ended, and the channel is not as the subscriptions say
}

func (m *model) explore(s modelState) {
	if m.seen[s] {
		return
	}
	m.seen[s] = true
	ended := true
	for n := range m.commands {
		if i := s.invocations[n]; i.command < len(m.commands[n]) {
			ended = false
			m.explore(m.step(s, n))
		}
	}
	if ended && s.occupied != slices.Contains(s.subscribed[:], valid) {
		m.wrong = append(m.wrong, s)
	}
}

// step returns the state after the next step of an invocation.
func (m *model) step(s modelState, n int) modelState {
	i := &s.invocations[n]
	c := m.commands[n][i.command]
	next := func() { i.command, i.place, i.seen = i.command+1, toBegin, 0 }
	occupy := func() (became bool) {
		became = !s.occupied
		s.occupied, s.version = true, s.version+1
		return became && !m.trusts
	}
	switch i.place {
	case toBegin:
		switch was := s.subscribed[c.client]; {
		case was == absent && c.does != joins, was == expired && c.does == expires:
			next()
		case c.does == quits:
			s.subscribed[c.client], i.place = absent, toRead
		case c.does == expires:
			s.subscribed[c.client], i.place = expired, toRead
		case m.occupiesFirst:
			occupy()
			i.place = toWrite
		case was == absent:
			s.subscribed[c.client], i.place = valid, toOccupy
		case m.joinsOnly:
			s.subscribed[c.client] = valid
			next()
		default:
			s.subscribed[c.client], i.place = valid, toFind
		}
	case toWrite:
		s.subscribed[c.client] = valid
		next()
	case toFind:
		if i.place = toOccupy; !slices.Contains(s.subscribed[:], valid) || m.occupiesLater && s.occupied {
			next()
		}
	case toOccupy:
		if next(); occupy() {
			i.command, i.place = i.command-1, toRead
		}
	case toRead:
		if i.place, i.seen = toSearch, s.version; !s.occupied {
			next()
		}
	case toSearch:
		if i.place = toVacate; slices.Contains(s.subscribed[:], valid) {
			next()
		}
	case toVacate:
		if s.occupied && (m.vacatesBlindly || i.seen == s.version) {
			s.occupied, s.version = false, s.version+1
		} else if !m.givesUp {
			i.place, i.seen = toRead, 0
			return s
		}
		next()
	}
	return s
}

// TestOccupancyModel explores clients that subscribe, and that are unsubscribed by themselves and
// by others, whose subscriptions expire, and are renewed before or after that. Where all have ended
// the channel is occupied if there is a subscription that has not expired; without any of the rules
// it may not be.
func TestOccupancyModel(t *testing.T) {
	join, leave := func(c int) modelCommand { return modelCommand{c, joins} }, func(c int) modelCommand { return modelCommand{c, quits} }
	renew, expire := func(c int) modelCommand { return modelCommand{c, renews} }, func(c int) modelCommand { return modelCommand{c, expires} }
	for _, tt := range []struct {
		name    string
		variant modelVariant
		fails   bool
	}{
		{"the rules", modelVariant{}, false},
		{"occupies before it writes the subscription", modelVariant{occupiesFirst: true}, true},
		{"does not check after it has occupied", modelVariant{trusts: true}, true},
		{"does not begin a check again", modelVariant{givesUp: true}, true},
		{"vacates whatever has changed", modelVariant{vacatesBlindly: true}, true},
		{"does not occupy for a renewal", modelVariant{joinsOnly: true}, true},
		{"does not record a renewal in an occupied channel", modelVariant{occupiesLater: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			states, wrong := 0, []string(nil)
			for _, commands := range [][][]modelCommand{
				{{join(0), leave(0)}, {leave(0)}, {join(1)}, {leave(1)}},
				{{join(0), leave(0), join(0)}, {leave(0)}, {join(1), leave(1)}},
				{{join(0)}, {leave(0)}, {join(1)}, {leave(1)}, {join(2), leave(2)}},
				{{join(0), join(0), leave(0)}, {expire(0)}, {join(1), renew(1)}, {expire(1)}},
				{{join(0), renew(0)}, {expire(0), expire(0)}, {leave(0)}, {join(1), leave(1)}},
			} {
				m := &model{modelVariant: tt.variant, commands: commands, seen: make(map[modelState]bool)}
				m.explore(modelState{})
				states += len(m.seen)
				for _, s := range m.wrong {
					wrong = append(wrong, fmt.Sprintf("%v: occupied %v, subscribed %v", commands, s.occupied, s.subscribed))
				}
			}
			t.Logf("%d states", states)
			if tt.fails != (len(wrong) > 0) {
				t.Errorf("%d wrong ends, such as %v", len(wrong), wrong[:min(len(wrong), 3)])
			}
		})
	}
}
