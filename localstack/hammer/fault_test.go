package hammer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"centrifuge/functions"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/iam"
	"centrifuge/pkg/delivery"
)

// push is what the hammer reads of a frame: a push, or a reply.
type push struct {
	Ack     bool
	Error   string
	Message string // of API Gateway

	Channel string
	Offset  uint64
	Epoch   string
	Data    struct{ N int }
}

// pushes are those of a frame: one or an array in the classic protocol, and the publications of
// one a line in Centrifugo's.
func pushes(frame []byte) (all []push, err error) {
	if bytes.HasPrefix(frame, []byte(`{"push"`)) || bytes.HasPrefix(frame, []byte(`{"id"`)) {
		for line := range bytes.Lines(frame) {
			var reply struct {
				Push struct {
					Channel string
					Pub     *push
				}
			}
			if err := json.Unmarshal(line, &reply); err != nil {
				return nil, err
			}
			if p := reply.Push.Pub; p != nil {
				p.Channel = strings.TrimPrefix(reply.Push.Channel, category+":")
				all = append(all, *p)
			}
		}
		return all, nil
	}
	if bytes.HasPrefix(frame, []byte("[")) {
		err = json.Unmarshal(frame, &all)
		return all, err
	}
	all = make([]push, 1)
	return all, json.Unmarshal(frame, &all[0])
}

// postFaults decides which posts fail. It is safe for concurrent use.
type postFaults struct {
	mu     sync.Mutex
	random *rand.Rand // nil until the load begins
	// row counts the refusals of a connection since its last accepted post: a poster gives up
	// after delivery.DefaultAttempts, and its message is lost as documented.
	row map[string]int
	// gone are the connections that were answered with 410.
	gone map[string]bool
	// slow and failed count the answers 429 and 5xx.
	slow, failed int
}

func (f *postFaults) begin(random *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.random = random
}

// next decides about a post: 1 % 410, 2 % 429, 1 % 5xx. A connection that is gone stays gone.
func (f *postFaults) next(p gateway.Post) gateway.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random == nil {
		return gateway.Fault{}
	}
	status := 0
	switch n := f.random.IntN(100); {
	case n < 1 || f.gone[p.ConnectionID]:
		f.gone[p.ConnectionID] = true
		return gateway.Fault{Status: http.StatusGone}
	case n < 3:
		status = http.StatusTooManyRequests
	case n < 4:
		status = http.StatusInternalServerError + f.random.IntN(5)
	}
	if status == 0 || f.row[p.ConnectionID] == delivery.DefaultAttempts-1 {
		f.row[p.ConnectionID] = 0
		return gateway.Fault{}
	}
	f.row[p.ConnectionID]++
	if status == http.StatusTooManyRequests {
		f.slow++
	} else {
		f.failed++
	}
	return gateway.Fault{Status: status}
}

// isGone reports whether a connection was answered with 410.
func (f *postFaults) isGone(connection string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone[connection]
}

// maxSkipped is more than the requests of a publish that dispatches to 50 subscribers: a kill
// may hit each of them.
const maxSkipped = 60

// kill is the death of a process at a request of its function.
type kill struct {
	skip  int // requests before it
	fault iam.Fault
}

// death is when a process died.
type death struct {
	function string
	when     string // before or after
	action   string // the request
}

// watch sees every request of the functions. It kills processes, and checks that of two
// processes that dispatch a channel the first one has ended. It is safe for concurrent use.
type watch struct {
	fail func(format string, args ...any)
	// catchUp means that a holder sends older publications to a single subscriber that joins.
	catchUp bool

	mu      sync.Mutex
	pending map[string]*kill // by function
	killed  map[string]bool  // processes
	deaths  map[death]int
	streams map[string]*posted
	// history are the requests about a channel that change something.
	history map[string][]string
	// suspects are the channels in which something is wrong.
	suspects map[string]bool
	// frames and publications are those of the posts.
	frames, publications int
	// takeOvers counts processes that dispatched again what one that was killed had begun.
	takeOvers int
}

// posted is who has posted the publications of a channel.
type posted struct {
	by       map[uint64]string // the latest process, by offset
	top      uint64
	repeated map[uint64]bool // posted by two processes
	// heirs are the pairs of processes whose take-over is counted.
	heirs map[[2]string]bool
}

func newWatch(fail func(string, ...any)) *watch {
	return &watch{
		fail: fail, pending: make(map[string]*kill), killed: make(map[string]bool), deaths: make(map[death]int), streams: make(map[string]*posted),
		history: make(map[string][]string), suspects: make(map[string]bool),
	}
}

// joins says that subscribers join while messages are published.
func (w *watch) joins() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp = true
}

// suspect makes the history of a channel a part of the report.
func (w *watch) suspect(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.suspects[channel] = true
}

// suspected is the history of the channels in which something is wrong.
func (w *watch) suspected() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, ch := range slices.Sorted(maps.Keys(w.suspects)) {
		fmt.Fprintf(&b, "the requests about %s:\n%s\n", ch, strings.Join(w.history[ch], "\n"))
	}
	return b.String()
}

// streamKey finds the channel in a request to the database.
var streamKey = regexp.MustCompile(`"H#[^"]*#(c[0-9]+)"`)

// note adds a request to the history of its channel. The caller holds mu.
func (w *watch) note(q iam.Request, fault iam.Fault) {
	found := streamKey.FindSubmatch(q.Body)
	switch {
	case q.Service == iam.Lambda:
		var ch struct{ Name string }
		if json.Unmarshal(q.Body, &ch) != nil {
			return
		}
		found = [][]byte{nil, []byte(ch.Name)}
	case q.Service != iam.DynamoDB || found == nil:
		return
	}
	line := fmt.Sprintf("%s %s %s", time.Now().Format("04:05.000"), q.AccessKeyID, q.Action)
	if fault != iam.None {
		line += fmt.Sprintf(" (fault %d)", fault)
	}
	w.history[string(found[1])] = append(w.history[string(found[1])], line+" "+string(q.Body))
}

// arm plans the next death: of a publisher or of a dispatcher, unless one waits for its function
// to run.
func (w *watch) arm(random *rand.Rand) {
	victims := []string{"publish", functions.Dispatch}
	if w.catchUp {
		victims = append(victims, "message")
	}
	victim := random.IntN(len(victims))
	k := &kill{random.IntN(maxSkipped), []iam.Fault{iam.KillBefore, iam.KillAfter}[random.IntN(2)]}
	w.mu.Lock()
	defer w.mu.Unlock()
	for range victims {
		if name := victims[victim]; w.pending[name] == nil {
			w.pending[name] = k
			return
		}
		victim = (victim + 1) % len(victims)
	}
}

// disarm ends the deaths.
func (w *watch) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.pending)
}

// request sees a request, and decides about its fault.
func (w *watch) request(q iam.Request) iam.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.Service == iam.Management && q.Action == http.MethodPost {
		w.post(q)
	}
	fault := w.kill(q)
	w.note(q, fault)
	return fault
}

// kill decides whether a process dies at a request. The caller holds mu.
func (w *watch) kill(q iam.Request) iam.Fault {
	k := w.pending[q.Function]
	if k == nil || w.killed[q.AccessKeyID] {
		return iam.None
	}
	if k.skip > 0 {
		k.skip--
		return iam.None
	}
	delete(w.pending, q.Function)
	w.killed[q.AccessKeyID] = true
	when := "before"
	if k.fault == iam.KillAfter {
		when = "after"
	}
	w.deaths[death{q.Function, when, q.Action}]++
	return k.fault
}

// post records a post of publications. The caller holds mu.
func (w *watch) post(q iam.Request) {
	all, err := pushes(q.Body)
	if err != nil {
		w.fail("%s posts %s: %v", q.AccessKeyID, q.Body, err)
		return
	}
	if len(all) > 0 && all[0].Offset > 0 {
		w.frames++
		w.publications += len(all)
	}
	for _, p := range all {
		s := w.streams[p.Channel]
		if s == nil {
			s = &posted{by: make(map[uint64]string), repeated: make(map[uint64]bool), heirs: make(map[[2]string]bool)}
			w.streams[p.Channel] = s
		}
		if w.catchUp && p.Offset <= s.top {
			continue
		}
		if last := s.by[s.top]; p.Offset <= s.top && last != q.AccessKeyID && !w.killed[last] {
			w.fail("%s posts offset %d of %s after %s, which was not killed, posted %d", q.AccessKeyID, p.Offset, p.Channel, last, s.top)
		}
		if before := s.by[p.Offset]; before != "" && before != q.AccessKeyID {
			s.repeated[p.Offset] = true
			if pair := [2]string{before, q.AccessKeyID}; !s.heirs[pair] {
				s.heirs[pair] = true
				w.takeOvers++
			}
		}
		s.by[p.Offset], s.top = q.AccessKeyID, max(s.top, p.Offset)
	}
}

// isRepeated reports whether two processes have posted a publication.
func (w *watch) isRepeated(channel string, offset uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.streams[channel]
	return s != nil && s.repeated[offset]
}

// dead is how many processes of a function were killed.
func (w *watch) dead(function string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for d, count := range w.deaths {
		if d.function == function {
			n += count
		}
	}
	return n
}

// poster is the process that posted a publication last, "" for none.
func (w *watch) poster(channel string, offset uint64) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.streams[channel]; s != nil {
		return s.by[offset]
	}
	return ""
}
