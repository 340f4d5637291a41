package delivery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The model of how a subscriber joins a stream: every interleaving of a few publishers, of the
// commands of one client, and of a durable dispatcher, any of which may die anywhere, with posts
// of unknown outcome and batches that fail. What decides who holds the lease is here as far as
// joining depends on it. The client subscribes, and subscribes again when it is told to, at its
// last offset.
//
// Checked for a recoverable client: every offset after the first reply reaches it once and in
// order, in a reply or as a post, and none while it waits for a reply. Where nothing more can
// happen it has all that was dispatched, unless the invocation of its command has died after the
// reply and before it was admitted, and nothing was published since. A client that is not
// recoverable may get an offset twice, and misses none.
//
// The client may also unsubscribe, and subscribe again: it ignores what it gets before the reply.
// A later subscribe waits before its reply until what it has read is dispatched, and no admission
// of a former one waits. Only the first one may read the top before its membership is written.
//
// Not in the model: other epochs, clocks, a limit of a batch. The wait for the dispatch ends where
// nobody dispatches; in the code it ends after some time, and a post that is slower is not in the
// model. It is assumed that a client without a reply repeats its command earlier
// than its membership counts as abandoned, and that no command is carried out whole between the
// write that ends a subscription and the notice that follows.

// The states of the subscription.
const (
	itemNone = iota
	itemJoining
	itemActive
	itemLost
)

// item is the subscription.
type modelItem struct {
	state, id, from uint8
	// era means that its era is that of the head, lease that it was marked under the present
	// lease.
	era, lease bool
}

type modelEntry struct{ id, offset uint8 }

// joinState is everything. It is comparable.
type joinState struct {
	top, done, wake, changed uint8
	// held, dead and durable are those of the lease, deadTop the top when its holder died.
	held, dead, durable bool
	deadTop             uint8
	joins               [3]modelEntry
	item                modelItem

	subscribed bool // the client believes so
	left       bool // it has unsubscribed, and ignores what it gets until the next reply
	has, id    uint8

	procs                  [5]modelProc
	pending                uint8
	deaths, unknown, fails uint8
	leaves                 uint8
	fault                  modelFault
}

// modelFault is what a client must not get: an offset after another one, or while it waits for a
// reply.
type modelFault struct {
	offset, after uint8
	waits         bool
}

func (f modelFault) String() string {
	if f.waits {
		return fmt.Sprintf("offset %d while it waits for a reply", f.offset)
	}
	return fmt.Sprintf("offset %d after %d", f.offset, f.after)
}

// The steps of an invocation.
const (
	pcNone = iota
	pcDead // of a command that has died
	// A publisher.
	pcPut
	pcEarly
	// A command.
	pcJoin
	pcPosition
	pcJoinLate // after it has read the top
	pcSettle
	pcReply
	// All.
	pcAnnounce
	pcTake // a lease whose holder has died
	pcInvoke
	pcTry // of a durable dispatcher
	// A holder.
	pcAdmit
	pcGap
	pcRead
	pcSubscribers
	pcPost
	pcLose
	pcTell
	pcWrite
)

type modelProc struct {
	pc, then   uint8
	offset, id uint8 // of its message, or of the position in its reply
	// The holder: what its last write returned, and what it has read.
	wake, snap, at uint8
	joins          [3]modelEntry
	read           modelItem
	early, known   bool
	durable        bool
	changed, begun bool
	lost           uint8
}

type joinVariant string

const (
	modelGood          joinVariant = ""
	modelPostFirst     joinVariant = "posts before it marks the subscription active"
	modelOneEra        joinVariant = "an era never ends"
	modelRemoveFirst   joinVariant = "removes the admission before it posts"
	modelNoFrom        joinVariant = "posts what the reply had"
	modelTrustActive   joinVariant = "takes an admission for done where the subscription is active"
	modelRepeatActive  joinVariant = "posts again where the subscription is active"
	modelRepeatUnknown joinVariant = "posts again after an unknown outcome"
	modelTellOnly      joinVariant = "tells a client, and leaves its subscription active"
	modelRecordFirst   joinVariant = "records a batch before it tells"
	modelStaleRead     joinVariant = "uses an early read of subscribers after a loss"
	modelReadFirst     joinVariant = "reads publications before it admits"
	modelBatchFirst    joinVariant = "dispatches before it admits"
	modelSkipAbandoned joinVariant = "skips an abandoned membership for ever"
	modelActiveAtOnce  joinVariant = "subscribes without joining"
	modelSettleDone    joinVariant = "replies to a later subscribe while the former subscription is admitted"
	modelNoSettle      joinVariant = "replies to a later subscribe while the former subscription gets a post"
	modelTopFirst      joinVariant = "reads the top for a later subscribe before its membership is written"
)

type joinModel struct {
	variant        joinVariant
	recoverable    bool
	publishers     int
	deaths         uint8
	unknown, fails uint8
	leaves         uint8
	maxID          uint8
	states         int
	// names means that steps have names, which cost more than the steps.
	names bool
}

// name is the name of a step.
func (m *joinModel) name(format string, values ...any) string {
	if !m.names {
		return ""
	}
	return fmt.Sprintf(format, values...)
}

// The processes: publishers first, then two commands, then the durable dispatcher.
const (
	firstCommand  = 2
	modelDispatch = 4
)

func (m *joinModel) start() joinState {
	s := joinState{deaths: m.deaths, unknown: m.unknown, fails: m.fails, leaves: m.leaves}
	for i := range m.publishers {
		s.procs[i].pc = pcPut
	}
	return s
}

type joinStep struct {
	name string
	joinState
}

// deliver gives the client the offsets after a first one up to a last one.
func (m *joinModel) deliver(s *joinState, after, last uint8) {
	for o := after + 1; o <= last; o++ {
		switch {
		case s.left:
			return
		case !s.subscribed:
			s.fault = modelFault{offset: o, waits: true}
		case o <= s.has && m.recoverable, o > s.has+1:
			s.fault = modelFault{offset: o, after: s.has}
		}
		s.has = max(s.has, o)
	}
}

// post is the post of offsets to the client: all outcomes. then is what follows, lost where the
// client may not have got them.
func (m *joinModel) post(add func(string, joinState), name string, s joinState, i int, after, last, id, then uint8) {
	p := &s.procs[i]
	unknown := s.unknown
	p.pc = then
	ok := s
	m.deliver(&ok, after, last)
	add(name, ok)
	if unknown == 0 {
		return
	}
	for _, arrived := range []bool{true, false} {
		u := s
		u.unknown--
		p := &u.procs[i]
		if arrived {
			m.deliver(&u, after, last)
		} else if !m.recoverable {
			continue // a loss, which is allowed
		}
		switch {
		case m.variant == modelRepeatUnknown:
			m.deliver(&u, after, last)
		case m.recoverable:
			p.pc, p.then, p.lost = pcLose, then, id
		}
		add(m.name("%s, and gets no answer (arrived: %v)", name, arrived), u)
	}
}

// hold makes a process the holder, as the write that took the lease returned the head.
func (s *joinState) hold(i int, durable bool) {
	s.held, s.dead, s.durable = true, false, durable
	s.item.lease = false
	for n := range s.procs {
		s.procs[n].read.lease = false
	}
	p := &s.procs[i]
	p.durable = durable
	p.wake, p.joins, p.at, p.changed, p.begun = s.wake, s.joins, 0, false, false
	p.pc, p.snap = pcAdmit, s.top
	if s.joins != [3]modelEntry{} {
		p.known, p.early = false, false
	}
	p.known = p.known && p.offset == s.done+1
}

func (s *joinState) redraw() {
	s.item.era = false
	for n := range s.procs {
		s.procs[n].read.era = false
	}
}

func (s *joinState) end() { s.held, s.dead = false, false }

func without(joins [3]modelEntry, done [3]modelEntry) (rest [3]modelEntry) {
	n := 0
	for _, e := range joins {
		if e.id != 0 && !slices.Contains(done[:], e) {
			rest[n] = e
			n++
		}
	}
	return rest
}

// successors are the states that follow s. death is set where only a death, or a failure, leads there.
func (m *joinModel) successors(s joinState) (all []joinStep, live bool) {
	add := func(name string, t joinState) {
		all = append(all, joinStep{name, t})
		live = true
	}
	if !s.subscribed && s.id < m.maxID {
		// The client subscribes where no command of it is on its way.
		waits := true
		for i := firstCommand; i < modelDispatch; i++ {
			if p := s.procs[i]; p.id == s.id && p.pc > pcDead && p.pc <= pcReply {
				waits = false
			}
		}
		for i := firstCommand; waits && i < modelDispatch; i++ {
			if s.procs[i].pc <= pcDead && (s.procs[i].id == 0 || s.procs[i].id != s.item.id || s.procs[i].pc == pcNone) {
				t := s
				t.id++
				t.procs[i] = modelProc{pc: pcJoin, id: t.id}
				add(m.name("client subscribes (%d)", t.id), t)
				break
			}
		}
	}
	if s.subscribed && s.leaves > 0 {
		t := s
		t.leaves--
		t.subscribed, t.left = false, true
		add("client unsubscribes, and its command is overtaken", t)
		t.item = modelItem{}
		add("client unsubscribes", t)
	}
	if d := s.procs[modelDispatch]; d.pc == pcNone && s.pending > 0 {
		t := s
		t.pending--
		t.procs[modelDispatch] = modelProc{pc: pcTry}
		add("dispatcher starts", t)
	}
	for i := range s.procs {
		before := len(all)
		m.act(s, i, add)
		if p := s.procs[i]; p.pc > pcDead && len(all) > before && s.deaths > 0 {
			t := s
			t.deaths--
			q := &t.procs[i]
			holding := p.pc >= pcAdmit
			*q = modelProc{pc: pcDead, id: p.id, snap: s.top}
			if i < firstCommand {
				*q = modelProc{pc: pcDead}
			}
			if i == modelDispatch {
				*q = modelProc{}
				t.pending++
			}
			if holding {
				t.dead, t.deadTop = true, s.top
			}
			all = append(all, joinStep{m.name("process %d dies", i), t})
		}
		if p := s.procs[i]; p.pc >= pcAdmit && s.fails > 0 {
			t := s
			t.fails--
			if p.begun && m.variant != modelOneEra {
				t.redraw()
			}
			t.end()
			t.pending++
			t.procs[i] = modelProc{id: p.id}
			all = append(all, joinStep{m.name("batch of process %d fails", i), t})
		}
	}
	return all, live
}

// act is the next step of a process.
func (m *joinModel) act(s joinState, i int, add func(string, joinState)) {
	name := []string{"p0", "p1", "command", "command'", "dispatcher"}[i]
	p := &s.procs[i]
	switch p.pc {
	case pcPut:
		s.top++
		p.offset = s.top
		p.pc, p.known = pcAnnounce, true
		if s.top <= s.done+2 {
			p.pc = pcEarly
		}
		add(m.name("%s puts %d", name, s.top), s)
	case pcEarly:
		p.read, p.early, p.pc = s.item, true, pcAnnounce
		add(m.name("%s reads subscribers early", name), s)
	case pcJoin:
		if p.id == 1 || m.variant == modelTopFirst {
			early := s
			p := &early.procs[i]
			p.offset, p.pc = s.top, pcJoinLate
			add(m.name("%s reads the top %d early", name, s.top), early)
		}
		if m.join(&s, p.id) {
			p.pc = pcPosition
			add(m.name("%s joins", name), s)
		}
	case pcPosition:
		p.offset, p.pc = s.top, m.opened(p.id)
		add(m.name("%s reads the top %d", name, s.top), s)
	case pcJoinLate:
		if m.join(&s, p.id) {
			p.pc = m.opened(p.id)
			add(m.name("%s joins late", name), s)
		}
	case pcSettle:
		waits := s.done < p.offset || s.joins != [3]modelEntry{} && m.variant != modelSettleDone
		if waits && m.moves(s) {
			return
		}
		p.pc = pcReply
		add(m.name("%s has waited for the dispatch up to %d", name, p.offset), s)
	case pcReply:
		p.pc = pcAnnounce
		if s.id == p.id { // an earlier one is not expected any more
			s.subscribed, s.left, s.has = true, false, max(s.has, p.offset)
		}
		add(m.name("%s replies %d", name, p.offset), s)
	case pcAnnounce:
		s.wake++
		if i >= firstCommand {
			for n := range s.joins {
				if s.joins[n].id == 0 {
					s.joins[n] = modelEntry{p.id, p.offset}
					break
				}
			}
		}
		switch {
		case !s.held:
			s.hold(i, false)
			add(m.name("%s announces and takes", name), s)
		case s.dead:
			p.pc = pcTake
			add(m.name("%s announces to the dead", name), s)
		case s.durable:
			*p = modelProc{id: p.id}
			add(m.name("%s announces", name), s)
		default:
			p.pc = pcInvoke
			add(m.name("%s announces to an inline holder", name), s)
		}
	case pcTake, pcTry:
		switch {
		case !s.held:
			s.hold(i, p.pc == pcTry)
			add(m.name("%s takes", name), s)
		case s.dead:
			grows := s.deadTop > s.done
			if grows && m.variant != modelOneEra {
				s.redraw()
			}
			s.hold(i, p.pc == pcTry)
			p.known = false
			add(m.name("%s takes over", name), s)
		case p.pc == pcTake && s.durable, p.pc == pcTry && s.durable:
			*p = modelProc{id: p.id}
			add(m.name("%s ends", name), s)
		case p.pc == pcTake:
			p.pc = pcInvoke
			add(m.name("%s finds an inline holder", name), s)
		}
	case pcInvoke:
		s.pending++
		*p = modelProc{id: p.id}
		add(m.name("%s invokes", name), s)
	case pcAdmit:
		m.admit(s, i, name, add)
	case pcGap:
		e := p.joins[p.at]
		then := uint8(pcAdmit)
		p.at++
		if m.variant == modelPostFirst {
			// The mark follows.
			p.at--
			then = pcAdmit
			p.then = pcGap
		}
		m.post(add, m.name("%s posts %d to %d to the one that joins", name, e.offset+1, s.done), s, i, e.offset, s.done, e.id, then)
	case pcRead:
		if m.variant != modelReadFirst {
			p.snap = s.top
		}
		p.pc = pcSubscribers
		if p.known {
			p.snap = p.offset
		}
		if p.snap == s.done {
			p.pc = pcWrite
		}
		add(m.name("%s reads up to %d", name, p.snap), s)
	case pcSubscribers:
		if !p.early || s.done+1 != p.offset || p.snap != p.offset || s.changed == p.offset && m.variant != modelStaleRead {
			p.read = s.item
		}
		p.pc, p.begun, p.early = pcPost, true, false
		add(m.name("%s reads subscribers", name), s)
	case pcPost:
		m.batch(s, i, name, add)
	case pcLose:
		p.pc = p.then
		if s.item.id == p.lost && s.item.state != itemNone {
			p.pc, p.changed = pcTell, true
			if m.variant != modelTellOnly {
				s.item.state, s.item.era, s.item.lease = itemLost, true, true
			}
		}
		add(m.name("%s ends the subscription", name), s)
	case pcTell:
		p.pc = p.then
		s.subscribed = false
		add(m.name("%s tells the client", name), s)
	case pcWrite:
		m.write(s, i, name, add)
	}
}

// join writes a membership. No command is carried out between a mark and its notice.
func (m *joinModel) join(s *joinState, id uint8) bool {
	if slices.ContainsFunc(s.procs[:], func(p modelProc) bool { return p.pc == pcTell }) {
		return false
	}
	s.item = modelItem{state: itemJoining, id: id}
	if m.variant == modelActiveAtOnce {
		s.item = modelItem{state: itemActive, id: id, era: true}
	}
	return true
}

// opened is what follows when a command has joined and has read the top.
func (m *joinModel) opened(id uint8) uint8 {
	if id > 1 && m.variant != modelNoSettle {
		return pcSettle
	}
	return pcReply
}

func (m *joinModel) admit(s joinState, i int, name string, add func(string, joinState)) {
	p := &s.procs[i]
	if p.at == uint8(len(p.joins)) || p.joins[p.at].id == 0 || m.variant == modelBatchFirst && p.then != pcAdmit {
		p.pc = pcRead
		if m.variant == modelBatchFirst && p.then == pcAdmit {
			p.pc = pcWrite
		}
		add(m.name("%s has admitted", name), s)
		return
	}
	e := p.joins[p.at]
	if m.variant == modelRemoveFirst {
		s.joins = without(s.joins, [3]modelEntry{e})
	}
	switch {
	case s.item.id != e.id || s.item.state == itemNone:
		p.at++
		add(m.name("%s drops an admission", name), s)
	case m.variant == modelPostFirst && s.item.state == itemJoining && e.offset < s.done && p.then != pcGap:
		p.pc = pcGap
		add(m.name("%s admits", name), s)
	case s.item.state == itemJoining:
		from := max(e.offset, s.done)
		if m.variant == modelNoFrom {
			from = s.done
		}
		s.item = modelItem{state: itemActive, id: e.id, from: from, era: true, lease: true}
		p.changed = true
		p.pc = pcGap
		if e.offset >= s.done || m.variant == modelPostFirst {
			p.at++
			p.pc, p.then = pcAdmit, 0
		}
		add(m.name("%s marks %d active from %d", name, e.id, from), s)
	case s.item.state == itemLost && s.item.lease:
		p.at++
		add(m.name("%s drops an admission that it has ended", name), s)
	case s.item.state == itemLost:
		p.pc, p.then, p.lost = pcLose, pcAdmit, e.id
		p.at++
		add(m.name("%s finds an admission that was lost", name), s)
	case m.variant == modelTrustActive:
		p.at++
		add(m.name("%s trusts an active one", name), s)
	case m.recoverable && m.variant != modelRepeatActive:
		p.pc, p.then, p.lost = pcLose, pcAdmit, e.id
		p.at++
		add(m.name("%s finds an active one", name), s)
	default:
		p.pc = pcGap
		if e.offset >= s.done {
			p.at++
			p.pc = pcAdmit
		}
		add(m.name("%s admits an active one again", name), s)
	}
}

func (m *joinModel) batch(s joinState, i int, name string, add func(string, joinState)) {
	p := &s.procs[i]
	lose := func() {
		p.pc, p.then, p.lost = pcLose, pcWrite, p.read.id
		if m.variant == modelRecordFirst {
			s.done = p.snap
		}
		add(m.name("%s finds a subscription that is lost", name), s)
	}
	after := max(s.done, p.read.from)
	switch {
	case p.read.state == itemJoining && m.abandoned(s, p.read) && m.variant != modelSkipAbandoned:
		lose()
	case p.read.state == itemActive && !p.read.era && m.recoverable, p.read.state == itemLost && !p.read.era:
		lose()
	case p.read.state == itemActive && p.snap > after:
		then := uint8(pcWrite)
		if m.variant == modelRecordFirst {
			s.done = p.snap
		}
		m.post(add, m.name("%s posts %d to %d", name, after+1, p.snap), s, i, after, p.snap, p.read.id, then)
	default:
		p.pc = pcWrite
		add(m.name("%s has nothing to post", name), s)
	}
}

// moves reports whether somebody will dispatch. A command that settles does not wait for others.
func (m *joinModel) moves(s joinState) bool {
	return s.pending > 0 || slices.ContainsFunc(s.procs[:], func(p modelProc) bool { return p.pc == pcPut || p.pc == pcEarly || p.pc >= pcAnnounce })
}

// abandoned reports whether the invocation that has made a membership died after its reply, a
// while ago.
func (m *joinModel) abandoned(s joinState, it modelItem) bool {
	for i := firstCommand; i < modelDispatch; i++ {
		if p := s.procs[i]; p.id == it.id && p.pc == pcDead {
			return s.subscribed && s.id == it.id
		}
	}
	return false
}

func (m *joinModel) write(s joinState, i int, name string, add func(string, joinState)) {
	p := &s.procs[i]
	if m.variant == modelBatchFirst && p.then != pcAdmit {
		p.then, p.pc = pcAdmit, pcAdmit
		add(m.name("%s admits now", name), s)
		return
	}
	s.done = max(s.done, p.snap)
	s.joins = without(s.joins, p.joins)
	if p.changed {
		s.changed = s.done + 1
	}
	if s.wake == p.wake {
		s.end()
		*p = modelProc{id: p.id}
		add(m.name("%s releases", name), s)
		return
	}
	if !p.durable {
		t := s
		t.end()
		t.pending++
		t.procs[i] = modelProc{id: p.id}
		add(m.name("%s hands over", name), t)
	}
	p.wake, p.joins, p.at, p.changed, p.begun, p.known, p.snap, p.then = s.wake, s.joins, 0, false, false, false, s.top, 0
	p.pc = pcAdmit
	add(m.name("%s renews", name), s)
}

// stuck judges a state in which nothing more can happen.
func (m *joinModel) stuck(s joinState) string {
	if slices.ContainsFunc(s.procs[:], func(p modelProc) bool { return p.pc == pcSettle }) {
		return "a command waits for ever"
	}
	if s.pending > 0 || s.held && !s.dead {
		return "" // waits for a dispatcher that is bounded here
	}
	if !s.subscribed || s.has >= s.done {
		return ""
	}
	for i := firstCommand; i < modelDispatch; i++ {
		if p := s.procs[i]; p.pc == pcDead && p.id == s.id && s.item.id == s.id && s.done <= p.snap {
			return ""
		}
	}
	return fmt.Sprintf("offsets after %d up to %d are lost", s.has, s.done)
}

// check explores all states, and returns the first fault with the way to it.
func (m *joinModel) check() string {
	all := []joinState{m.start()}
	from := []int32{0}
	seen := map[joinState]bool{all[0]: true}
	trace := func(n int32, fault string) string {
		m.names = true
		var steps []string
		for ; n != 0; n = from[n] {
			next, _ := m.successors(all[from[n]])
			i := slices.IndexFunc(next, func(s joinStep) bool { return s.joinState == all[n] })
			steps = append(steps, next[i].name)
		}
		slices.Reverse(steps)
		return fault + ":\n" + strings.Join(steps, "\n")
	}
	for n := int32(0); int(n) < len(all); n++ {
		s := all[n]
		if s.fault != (modelFault{}) {
			return trace(n, s.fault.String())
		}
		next, live := m.successors(s)
		if !live {
			if fault := m.stuck(s); fault != "" {
				return trace(n, fault)
			}
		}
		for _, step := range next {
			if !seen[step.joinState] {
				seen[step.joinState] = true
				all, from = append(all, step.joinState), append(from, n)
			}
		}
	}
	m.states = len(all)
	return ""
}

// TestJoiningModel checks the protocol by which a subscriber joins a stream, and that the model
// notices when a step is left out.
func TestJoiningModel(t *testing.T) {
	models := []joinModel{
		{recoverable: true, publishers: 2, maxID: 2},
		{recoverable: true, publishers: 2, unknown: 1, maxID: 2},
		{recoverable: true, publishers: 2, deaths: 1, maxID: 2},
		{recoverable: true, publishers: 1, deaths: 2, maxID: 3},
		{recoverable: true, publishers: 2, fails: 1, maxID: 2},
		{recoverable: true, publishers: 1, deaths: 1, unknown: 1, maxID: 3},
		{publishers: 2, deaths: 1, maxID: 2},
		{recoverable: true, publishers: 1, leaves: 1, deaths: 1, maxID: 3},
	}
	if *large {
		models = append(models, joinModel{recoverable: true, publishers: 2, leaves: 1, maxID: 2})
	}
	for _, tt := range models {
		t.Run(fmt.Sprintf("recoverable %v, %d publishers, %d deaths, %d unknown, %d failures, %d leaves", tt.recoverable, tt.publishers, tt.deaths, tt.unknown, tt.fails, tt.leaves), func(t *testing.T) {
			if fault := tt.check(); fault != "" {
				t.Error(fault)
			}
			t.Logf("%d states", tt.states)
		})
	}
	for _, tt := range []joinModel{
		{variant: modelActiveAtOnce, publishers: 1, maxID: 1},
		{variant: modelNoFrom, publishers: 1, maxID: 1},
		{variant: modelBatchFirst, publishers: 2, maxID: 1},
		{variant: modelReadFirst, publishers: 2, maxID: 1},
		{variant: modelPostFirst, publishers: 1, deaths: 1, maxID: 2},
		{variant: modelOneEra, publishers: 1, deaths: 1, maxID: 1},
		{variant: modelRemoveFirst, publishers: 2, deaths: 1, maxID: 1},
		{variant: modelTrustActive, publishers: 2, deaths: 1, maxID: 1},
		{variant: modelRepeatActive, publishers: 2, deaths: 1, maxID: 1},
		{variant: modelSkipAbandoned, publishers: 1, deaths: 1, maxID: 1},
		{variant: modelRepeatUnknown, publishers: 1, unknown: 1, maxID: 1},
		{variant: modelTellOnly, publishers: 2, unknown: 1, maxID: 2},
		{variant: modelRecordFirst, publishers: 1, deaths: 1, unknown: 1, maxID: 1},
		{variant: modelStaleRead, publishers: 2, unknown: 1, maxID: 2},
		{variant: modelNoSettle, publishers: 1, leaves: 1, maxID: 2},
		{variant: modelSettleDone, publishers: 1, leaves: 1, maxID: 2},
		{variant: modelTopFirst, publishers: 1, leaves: 1, maxID: 2},
	} {
		t.Run(string(tt.variant), func(t *testing.T) {
			tt.recoverable = true
			if tt.check() == "" {
				t.Errorf("not noticed in %d states", tt.states)
			}
		})
	}
}
