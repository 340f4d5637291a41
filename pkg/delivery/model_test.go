package delivery

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var large = flag.Bool("large", false, "whether TestModel and TestJoiningModel also explore the large models, which takes 800 MB of memory")

// The model of the protocol of leases: what Leased and the writes of the head of a stream do,
// one request at a time. All states that can be reached are explored, so that nothing depends on
// chance, as it does in TestInterleavings. It is smaller than the code: time only says that a
// lease or a turn has expired, a batch has any size, a post is its beginning and its end, and
// Lambda never gives up. A step that the code makes between two requests is part of one of them.
const (
	modelPublishers  = 3 // at most
	modelDispatchers = 2 // that run at a time
	modelRequests    = 9 // whose ids are in use at a time, and 0, which is none
	gone             = -1
)

// place is what an actor does next.
type place uint8

const (
	idle place = iota // a dispatcher that does not run
	putting
	announcing
	taking
	invoking // a publisher, which then acknowledges
	trying   // a dispatcher, to take the lease
	turning  // a dispatcher, to take the turn
	reading
	posting
	posted
	releasing
	renewing
	handing
	dropping
	following // invokes a dispatcher that goes on in its place
	acknowledged
	dead
)

// modelActor is a publisher or a run of a dispatcher. wake, done and next are the head as its
// last write left it.
type modelActor struct {
	at               place
	offset           uint8 // of the message of a publisher
	request          uint8 // of a dispatcher
	wake, done, next uint8
	to               uint8 // the last offset of the batch
	full             bool
	round            uint8
	late             bool // found no time left to post
}

// modelLease is the lease of the head. holder is an actor, or gone.
type modelLease struct {
	held, durable, granted, expired bool
	holder                          int8
	request                         uint8
}

func (l modelLease) free() bool { return !l.held || l.expired }

// faults are what may still happen: processes die, an event is delivered twice, posts and
// writes of a holder fail, its lease expires since it was slow, and the time of an invocation
// ends.
type faults struct{ deaths, dups, failures, lapses, ends uint8 }

// modelState is a state of one stream and of all that work on it.
type modelState struct {
	top, wake, done uint8
	lease           modelLease
	next            uint8
	actors          [modelPublishers + modelDispatchers]modelActor
	queue           [modelRequests]uint8 // how often Lambda will run a request
	left            faults
	// begun and sent are the last offsets whose posts have begun, and ended. again means that
	// some may be posted again.
	begun, sent uint8
	again       bool
}

// modelStep is what happens between two states. outside means that nobody may rely on it: a
// fault, or another publish.
type modelStep struct {
	actor   int8 // gone for the time
	does    string
	outside bool
}

type modelEdge struct {
	step modelStep
	to   modelState
}

// model explores the states of a protocol.
type model struct {
	publishers int
	faults     faults
	mutant     mutant

	edges []modelEdge // from the state that is explored
	fault string      // of one of them
}

func (m *model) add(s modelStep, to modelState) { m.edges = append(m.edges, modelEdge{s, to}) }

func inline(n int) bool { return n < modelPublishers }

// safe is hub.Head.Safe.
func (s *modelState) safe() bool { return s.lease.durable && !s.lease.free() || s.next != 0 }

func (s *modelState) holds(n int) bool { return s.lease.held && s.lease.holder == int8(n) }

// invoke queues an event under an id that is not in use.
func (m *model) invoke(s *modelState) {
	if m.mutant == noInvoke {
		return
	}
	for x := uint8(1); ; x++ {
		used := s.queue[x] > 0 || s.next == x || s.lease.request == x
		for _, a := range s.actors {
			used = used || a.request == x || a.next == x
		}
		if !used {
			s.queue[x]++
			return
		}
	}
}

// leave ends an actor: what it held expires.
func (s *modelState) leave(n int, at place) {
	if s.holds(n) {
		s.lease.holder = gone
	}
	a := &s.actors[n]
	*a = modelActor{at: at, offset: a.offset}
}

// retry makes a dispatcher that has lost its lease try to take it again.
func (s *modelState) retry(n int) {
	x := s.actors[n].request
	s.leave(n, trying)
	s.actors[n].request = x
}

// repeat is what Lambda does with a run that has failed.
func (m *model) repeat(s *modelState, n int) {
	if m.mutant != noRetry {
		s.queue[s.actors[n].request]++
	}
	s.leave(n, idle)
}

// explore collects the steps that follow a state.
func (m *model) explore(s *modelState) {
	m.edges = m.edges[:0]
	if l := s.lease; l.held && !l.expired && l.holder == gone {
		m.expire("the lease expires", s, l.granted && s.waits(l.request), func(t *modelState) { t.lease.expired = true })
	}
	if s.next != 0 {
		m.expire("the turn expires", s, s.waits(s.next), func(t *modelState) { t.next = 0 })
	}
	if n := int(s.lease.holder); s.lease.held && !s.lease.expired && n != gone && s.left.lapses > 0 {
		if s.actors[n].at != posted || m.mutant == noKeep {
			t := *s
			t.left.lapses--
			t.lease.expired, t.again = true, true
			m.add(modelStep{int8(n), "is slow: its lease expires", true}, t)
		}
	}
	m.begin(s)
	for n := range s.actors {
		switch a := s.actors[n]; a.at {
		case idle, acknowledged, dead:
			continue
		case putting, announcing, taking, invoking:
			m.publish(s, n)
		case trying, turning:
			m.drain(s, n)
		default:
			m.hold(s, n)
		}
		if s.left.deaths > 0 {
			t := *s
			t.left.deaths--
			t.again = true
			if inline(n) {
				t.leave(n, dead)
			} else {
				m.repeat(&t, n)
			}
			m.add(modelStep{int8(n), "dies", true}, t)
		}
	}
}

// waits reports whether a dispatcher waits under a request.
func (s *modelState) waits(request uint8) bool {
	for _, a := range s.actors {
		if a.request == request && (a.at == trying || a.at == turning) {
			return true
		}
	}
	return false
}

// expire ends a promise. That to an actor who lives ends only where it is slow.
func (m *model) expire(does string, s *modelState, lives bool, end func(*modelState)) {
	t := *s
	if lives {
		if t.left.lapses == 0 {
			return
		}
		t.left.lapses--
	}
	end(&t)
	m.add(modelStep{gone, does, lives}, t)
}

// begin lets Lambda run an event, which may be delivered again.
func (m *model) begin(s *modelState) {
	for n := modelPublishers; n < len(s.actors); n++ {
		if s.actors[n].at != idle {
			continue
		}
		for x := range s.queue {
			if s.queue[x] == 0 {
				continue
			}
			t := *s
			t.queue[x]--
			t.actors[n] = modelActor{at: trying, request: uint8(x)}
			m.add(modelStep{int8(n), "begins", false}, t)
			if t.left.dups > 0 {
				t.queue[x]++
				t.left.dups--
				m.add(modelStep{int8(n), "begins, and its event stays", true}, t)
			}
		}
		return
	}
}

// publish is Leased.Announce.
func (m *model) publish(s *modelState, n int) {
	t := *s
	a := &t.actors[n]
	switch a.at {
	case putting:
		if n > 0 && s.actors[n-1].at == putting {
			return // they are alike
		}
		t.top++
		a.at, a.offset = announcing, t.top
		m.add(modelStep{int8(n), "appends", true}, t)
	case announcing:
		t.wake++
		if t.lease.held {
			m.settle(&t, n)
			m.add(modelStep{int8(n), "announces", true}, t)
			return
		}
		t.lease = modelLease{held: true, holder: int8(n)}
		t.took(n)
		if a.done+1 == a.offset || m.mutant == postKnown {
			a.at, a.done, a.to = posting, a.offset-1, a.offset
		}
		m.add(modelStep{int8(n), "announces, and takes the lease", true}, t)
	case taking:
		if !t.lease.free() {
			m.settle(&t, n)
			m.add(modelStep{int8(n), "finds another holder", false}, t)
			return
		}
		t.lease = modelLease{held: true, holder: int8(n)}
		t.took(n)
		m.add(modelStep{int8(n), "takes over", false}, t)
	case invoking:
		m.invoke(&t)
		t.leave(n, acknowledged)
		m.add(modelStep{int8(n), "invokes a dispatcher", false}, t)
	}
}

// settle is what a publisher does that does not hold the lease.
func (m *model) settle(s *modelState, n int) {
	switch a := &s.actors[n]; {
	case s.done >= a.offset || s.safe() || m.mutant == trustInline && !s.lease.free():
		s.leave(n, acknowledged)
	case !s.lease.free():
		a.at = invoking
	default:
		a.at = taking
	}
}

// took copies the head to an actor whose write has left it so.
func (s *modelState) took(n int) {
	a := &s.actors[n]
	a.at, a.wake, a.done, a.next, a.to, a.full = reading, s.wake, s.done, s.next, 0, false
	if inline(n) {
		a.round++
	}
}

// drain is Leased.Drain while it does not hold the lease.
func (m *model) drain(s *modelState, n int) {
	x := s.actors[n].request
	l := s.lease
	own := l.durable && l.request == x
	t := *s
	a := &t.actors[n]
	switch {
	case a.at == turning:
		a.at = trying
		if l.held && !l.durable && (s.next == 0 || s.next == x) {
			t.next = x
		}
		m.add(modelStep{int8(n), "asks for the turn", false}, t)
		return
	case l.free() || own && (l.granted || m.mutant == takeUnexpired):
		t.lease, t.next = modelLease{held: true, durable: true, holder: int8(n), request: x}, 0
		t.took(n)
		m.add(modelStep{int8(n), "takes the lease", false}, t)
	case own:
		if m.mutant == endOnOwn {
			t.leave(n, idle)
			m.add(modelStep{int8(n), "ends: the lease is its own", false}, t)
		}
	case l.durable && (!l.granted || m.mutant == trustGrant):
		t.leave(n, idle)
		m.add(modelStep{int8(n), "ends: another dispatcher holds the lease", false}, t)
	case l.durable:
		// The one that it is granted to may have ended.
	case s.next != 0 && s.next != x:
		t.leave(n, idle)
		m.add(modelStep{int8(n), "ends: another dispatcher is next", false}, t)
	case s.next != x:
		a.at = turning
		m.add(modelStep{int8(n), "finds an inline holder", false}, t)
	}
	if s.left.ends > 0 {
		t := *s
		t.left.ends--
		if m.mutant == succeed {
			t.actors[n].at = following
		} else {
			m.repeat(&t, n)
		}
		m.add(modelStep{int8(n), "has no time left to wait", true}, t)
	}
}

// hold is holder.run.
func (m *model) hold(s *modelState, n int) {
	t := *s
	a := &t.actors[n]
	holds := s.holds(n)
	switch a.at {
	case reading:
		for a.to = a.done + 1; a.to <= s.top; a.to++ {
			a.at, a.full = posting, true
			m.add(modelStep{int8(n), "reads a full batch", false}, t)
		}
		a.to, a.full = s.top, false
		if a.to > a.done {
			a.at = posting
			m.add(modelStep{int8(n), "reads all", false}, t)
		} else {
			m.proceed("reads nothing", t, n)
		}
	case posting:
		if (!holds || s.lease.expired) && m.mutant != noDeadline {
			a.at, a.late = dropping, true
			m.add(modelStep{int8(n), "has no time left to post", false}, t)
			return
		}
		for other := range s.actors {
			if s.actors[other].at == posted {
				m.fault = fmt.Sprintf("%s posts while %s does", s.name(n), s.name(other))
			}
		}
		switch {
		case !holds || s.lease.expired:
			m.fault = s.name(n) + " posts without the lease"
		case a.done > s.begun:
			m.fault = fmt.Sprintf("%s posts offset %d after %d", s.name(n), a.done+1, s.begun)
		case a.done < s.begun && !s.again:
			m.fault = fmt.Sprintf("%s posts offset %d again", s.name(n), a.done+1)
		}
		a.at = posted
		t.begun = max(t.begun, a.to)
		m.add(modelStep{int8(n), "begins to post", false}, t)
	case posted:
		if !holds || s.lease.expired {
			m.fault = s.name(n) + " posts after its lease has ended"
		}
		if t.left.failures > 0 {
			u := t
			u.left.failures--
			u.again = true
			u.actors[n].at = dropping
			m.add(modelStep{int8(n), "fails to post", true}, u)
		}
		t.sent = max(t.sent, a.to)
		a.done = a.to
		m.proceed("has posted", t, n)
	case releasing:
		switch {
		case holds && (s.wake == a.wake || m.mutant == blindRelease):
			t.lease, t.done = modelLease{}, a.done
			m.finish("releases the lease", t, n)
		case holds:
			a.wake, a.next = s.wake, s.next
			m.limit("cannot release the lease", t, n)
		default:
			m.quit("has lost the lease", t, n)
		}
	case renewing:
		if !holds {
			m.quit("has lost the lease", t, n)
			return
		}
		t.done, t.lease.expired = a.done, false
		u := t
		t.took(n)
		m.write("renews the lease", t, u, n)
	case handing:
		if m.mutant == invokeEarly && !inline(n) && a.round == 0 {
			m.invoke(&t)
			a.round++
			m.add(modelStep{int8(n), "invokes a dispatcher", false}, t)
			return
		}
		m.handOver(t, n, a.next)
		if a.next != s.next && a.next != 0 {
			m.handOver(t, n, 0)
		}
	case dropping:
		m.drop(t, n)
	case following:
		m.invoke(&t)
		m.end(&t, n)
		m.add(modelStep{int8(n), "invokes a dispatcher, and ends", false}, t)
	}
}

// proceed is holder.proceed up to its first write. Whether the turn of a dispatcher that waits
// has expired is seen later than it happens, or earlier.
func (m *model) proceed(does string, s modelState, n int) {
	a := &s.actors[n]
	if inline(n) && a.next != 0 {
		t := s
		t.actors[n].at = handing
		m.add(modelStep{int8(n), does, false}, t)
		if a.next == s.next {
			return
		}
		a.next = 0
	}
	if a.full {
		m.limit(does, s, n)
		return
	}
	a.at = releasing
	m.add(modelStep{int8(n), does, false}, s)
}

// limit lets a holder go on, or hand over where its rounds or its time are over.
func (m *model) limit(does string, s modelState, n int) {
	a := &s.actors[n]
	if inline(n) && a.round >= inlineRounds {
		a.at = handing
		m.add(modelStep{int8(n), does, false}, s)
		return
	}
	if s.left.ends > 0 {
		t := s
		t.left.ends--
		t.actors[n].at = handing
		m.add(modelStep{int8(n), does + ", and has no time left", true}, t)
	}
	a.at = renewing
	m.add(modelStep{int8(n), does, false}, s)
}

// write adds a write of a holder that has left the state s. unanswered is the same, before the
// holder knows. It may also fail.
func (m *model) write(does string, s, unanswered modelState, n int) {
	m.add(modelStep{int8(n), does, false}, s)
	if unanswered.left.failures > 0 {
		unanswered.left.failures--
		unanswered.again = true
		m.quit(does+" without an answer", unanswered, n)
	}
}

// finish ends a holder that has let go.
func (m *model) finish(does string, s modelState, n int) {
	u := s
	m.end(&s, n)
	m.write(does, s, u, n)
}

// end ends a holder that has let go.
func (m *model) end(s *modelState, n int) {
	a := &s.actors[n]
	switch {
	case !inline(n):
		s.leave(n, idle)
	case a.done < a.offset && a.at != following:
		s.leave(n, invoking)
	default:
		s.leave(n, acknowledged)
	}
}

// quit is holder.quit.
func (m *model) quit(does string, s modelState, n int) {
	if inline(n) {
		m.end(&s, n)
	} else {
		s.retry(n)
	}
	m.add(modelStep{int8(n), does, false}, s)
}

// handOver is holder.handOver.
func (m *model) handOver(s modelState, n int, next uint8) {
	a := &s.actors[n]
	does := "drops the lease"
	if s.holds(n) {
		s.lease, s.done = modelLease{}, a.done
		if next != 0 {
			s.lease = modelLease{held: true, durable: true, granted: true, holder: gone, request: next}
			s.next = 0
			does = "grants the lease"
		}
	}
	u := s
	if next != 0 || inline(n) && !a.full || m.mutant == invokeEarly && !inline(n) {
		m.end(&s, n)
	} else {
		a.at = following
	}
	m.write(does, s, u, n)
}

// drop is holder.drop.
func (m *model) drop(s modelState, n int) {
	a := &s.actors[n]
	dropped := s.holds(n)
	if dropped {
		s.lease, s.done = modelLease{}, a.done
	}
	switch {
	case !dropped && s.safe():
		a.at = following
		m.end(&s, n)
	case inline(n):
		a.at = following
	case a.late:
		s.retry(n)
	default:
		m.repeat(&s, n)
	}
	m.add(modelStep{int8(n), "drops the lease", false}, s)
}

// name is an actor as traces call it.
func (s *modelState) name(n int) string {
	switch {
	case n == gone:
		return "time"
	case inline(n):
		return fmt.Sprint("p", n)
	default:
		return fmt.Sprintf("d%d(r%d)", n, s.actors[n].request)
	}
}

// lost returns an acknowledged message that is not dispatched, or 0.
func (s *modelState) lost() uint8 {
	for _, a := range s.actors {
		if a.at == acknowledged && a.offset > s.sent {
			return a.offset
		}
	}
	return 0
}

// check explores all states, and returns how many there are and the steps to a fault.
func (m *model) check() (states int, fault string) {
	first := modelState{left: m.faults}
	for n := range m.publishers {
		first.actors[n].at = putting
	}
	type move struct{ from, to int32 }
	index := map[modelState]int32{first: 0}
	all, parents := []modelState{first}, []int32{-1}
	var moves []move // that others may rely on
	trace := func(n int32) string {
		var steps []string
		for ; parents[n] >= 0; n = parents[n] {
			from := all[parents[n]]
			m.explore(&from)
			for _, e := range m.edges {
				if e.to == all[n] {
					who := from
					if e.step.actor >= 0 && e.to.actors[e.step.actor].request != 0 {
						who = e.to
					}
					steps = append(steps, who.name(int(e.step.actor))+": "+e.step.does)
					break
				}
			}
		}
		var b strings.Builder
		for i := len(steps) - 1; i >= 0; i-- {
			b.WriteString("\n" + steps[i])
		}
		return b.String()
	}
	for n := int32(0); int(n) < len(all); n++ {
		s := all[n]
		m.explore(&s)
		if s.done > s.sent {
			m.fault = fmt.Sprintf("offset %d is recorded, and is not dispatched", s.done)
		}
		if m.fault != "" {
			return len(all), m.fault + ":" + trace(n)
		}
		for _, e := range m.edges {
			to, known := index[e.to]
			if !known {
				to = int32(len(all))
				index[e.to] = to
				all, parents = append(all, e.to), append(parents, n)
			}
			if !e.step.outside {
				moves = append(moves, move{n, to})
			}
		}
	}
	// From where does a way lead to a state in which nothing is lost?
	starts := make([]int32, len(all)+1) // of the moves to each state
	for _, v := range moves {
		starts[v.to+1]++
	}
	for n := range all {
		starts[n+1] += starts[n]
	}
	from, at := make([]int32, len(moves)), append([]int32(nil), starts...)
	for _, v := range moves {
		from[at[v.to]] = v.from
		at[v.to]++
	}
	good := make([]bool, len(all))
	var found []int32
	for n := range all {
		if good[n] = all[n].lost() == 0; good[n] {
			found = append(found, int32(n))
		}
	}
	for len(found) > 0 {
		n := found[len(found)-1]
		found = found[:len(found)-1]
		for _, p := range from[starts[n]:starts[n+1]] {
			if !good[p] {
				good[p] = true
				found = append(found, p)
			}
		}
	}
	for n, ok := range good {
		if !ok {
			return len(all), fmt.Sprintf("offset %d is acknowledged, and never dispatched:%s", all[n].lost(), trace(int32(n)))
		}
	}
	return len(all), ""
}

// TestModel explores the model: whatever happens, only the holder of the lease posts, offsets are
// posted in order and again only after a fault, and every acknowledged message is dispatched
// without another publish. The numbers of states are what was measured.
func TestModel(t *testing.T) {
	for _, tt := range []struct {
		large      bool
		publishers int
		faults     faults
		states     int
	}{
		{false, 2, faults{}, 306},
		{false, 2, faults{deaths: 2, dups: 1}, 8298},
		{false, 2, faults{deaths: 1, dups: 1, failures: 1, lapses: 1}, 320_077},
		{false, 2, faults{deaths: 1, dups: 1, lapses: 1, ends: 1}, 189_669},
		{false, 3, faults{deaths: 1, ends: 1}, 261_785},
		{true, 3, faults{deaths: 2, dups: 1}, 792_155},
		{true, 3, faults{deaths: 1, failures: 1}, 546_700},
		{true, 3, faults{deaths: 1, lapses: 1}, 1_609_855},
		{true, 3, faults{lapses: 1, ends: 1}, 1_210_735},
	} {
		if tt.large && !*large {
			continue
		}
		t.Run(fmt.Sprintf("%d publishers, faults %+v", tt.publishers, tt.faults), func(t *testing.T) {
			m := model{publishers: tt.publishers, faults: tt.faults}
			states, fault := m.check()
			if fault != "" {
				t.Error(fault)
			}
			if states != tt.states {
				t.Errorf("%d states, not %d: the model has changed", states, tt.states)
			}
		})
	}
}

// TestModelMutants explores models that leave out a step: each has a fault.
func TestModelMutants(t *testing.T) {
	for _, tt := range []struct {
		mutant     mutant
		publishers int
		faults     faults
	}{
		{blindRelease, 3, faults{}},
		{noInvoke, 2, faults{deaths: 1}},
		{trustInline, 2, faults{deaths: 1}},
		{endOnOwn, 2, faults{deaths: 2}},
		{takeUnexpired, 2, faults{deaths: 1, dups: 1}},
		{noRetry, 2, faults{deaths: 2}},
		{noKeep, 2, faults{lapses: 1}},
		{noDeadline, 2, faults{lapses: 1}},
		{postKnown, 2, faults{}},
		{succeed, 3, faults{ends: 1}},
		{invokeEarly, 3, faults{ends: 1}},
		{trustGrant, 3, faults{lapses: 1}},
	} {
		t.Run(string(tt.mutant), func(t *testing.T) {
			m := model{publishers: tt.publishers, faults: tt.faults, mutant: tt.mutant}
			states, fault := m.check()
			if fault == "" {
				t.Errorf("not noticed in %d states", states)
			}
			t.Logf("%d states: %s", states, fault)
		})
	}
}
