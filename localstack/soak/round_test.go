package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/schema"
)

const (
	project  = "soak"
	apiKey   = "soak-key"
	page     = "https://page.example"
	seedFile = `{"projects": [{"id": "soak", "name": "soak", "secret": "secret-0", "api_keys": ["soak-key"], "categories": [
		{"name": "open", "bidirectional": true, "presence": true},
		{"name": "room", "bidirectional": true, "presence": true, "join_leave": true},
		{"name": "wide", "bidirectional": true, "presence": true, "shards": 2},
		{"name": "log", "bidirectional": true, "presence": true, "history_size": 1000, "history_ttl": 600000}]}]}`
)

// channels are those of every round.
var channels = []string{"open:a", "open:b", "room:a", "room:b", "wide:a", "wide:b", "log:a", "log:b"}

func split(channel string) (category, name string) {
	ch, _ := hub.ParseChannel("", channel) // they are valid
	return ch.Category, ch.Name
}

// selection is the channels by category.
func selection(channels []string) map[string][]string {
	all := make(map[string][]string)
	for _, ch := range channels {
		category, name := split(ch)
		all[category] = append(all[category], name)
	}
	return all
}

// round is what happens in one round. It is safe for concurrent use.
type round struct {
	t       *testing.T
	rig     *rig
	expires time.Time // of all JWTs, so that each may renew another
	// application and administrator are whether they change subscriptions and rights.
	application, administrator bool

	mu           sync.Mutex
	start        time.Time
	history      []string
	failed       bool
	secret       string
	links        []*link
	publications []publication
	// touched are what the actors other than the clients have changed: "" for everything, a
	// category, a user, or a user and a channel.
	touched map[string]bool
}

// publication is a message. Its number is its index and one.
type publication struct {
	channel      string
	began, ended time.Time // ended is zero until it has succeeded
}

func (r *round) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, fmt.Sprintf("%9.3f ", float64(time.Since(r.start).Microseconds())/1000)+fmt.Sprintf(format, args...))
}

// fail notes what must not be.
func (r *round) fail(format string, args ...any) {
	r.note("VIOLATION: "+format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

// shown is the params of a command without the token.
func (r *round) shown(params map[string]any) string {
	short := make(map[string]any)
	for key, value := range params {
		if key != "token" {
			short[key] = value
		}
	}
	text, err := json.Marshal(short)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// pause spreads the actions of an actor. Nothing relies on it.
func (r *round) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.t.Context().Done():
	}
}

func (r *round) draw(random *rand.Rand, most int) []string {
	var drawn []string
	for range 1 + random.IntN(most) {
		if ch := channels[random.IntN(len(channels))]; !slices.Contains(drawn, ch) {
			drawn = append(drawn, ch)
		}
	}
	return drawn
}

func (r *round) add(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.links = append(r.links, l)
}

func (r *round) touch(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.touched[what] = true
}

// undisturbed reports whether only its own commands have changed the subscription of a user
// in a channel.
func (r *round) undisturbed(user, channel string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	category, _ := split(channel)
	return !r.touched[""] && !r.touched[category] && !r.touched[user] && !r.touched[user+" "+channel]
}

// publication returns the number of a message that is about to be published.
func (r *round) publication(channel string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publications = append(r.publications, publication{channel: channel, began: time.Now()})
	return len(r.publications)
}

func (r *round) published(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publications[n-1].ended = time.Now()
}

func (r *round) began(n int) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n < 1 || n > len(r.publications) {
		return time.Time{}
	}
	return r.publications[n-1].began
}

func (r *round) secretNow() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.secret
}

// expected reports whether a command may be answered with this error.
func (r *round) expected(code int) bool {
	switch code {
	case hub.ErrCategoryDenied.Code, hub.ErrChannelDenied.Code:
		return true
	case hub.ErrConnectionNotFound.Code:
		// The connection is being closed. One that were not would disagree with the belief of
		// its client.
		return true
	case hub.ErrInvalidToken.Code, hub.ErrPermissionDenied.Code, hub.ErrCategoryNotFound.Code:
		return r.administrator
	}
	return false
}

// call calls a method of the server API. It returns the result, or the code of the error.
func (r *round) call(method string, body any, result any) (code int) {
	ctx, cancel := context.WithTimeout(r.t.Context(), hang)
	defer cancel()
	payload, err := json.Marshal(body)
	if err != nil {
		r.fail("%v", err)
		return -1
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.rig.HTTPURL+"/api/"+method, bytes.NewReader(payload))
	if err != nil {
		r.fail("%v", err)
		return -1
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", apiKey)
	r.note("application -> %s %s", method, payload)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.fail("%s: %v", method, err)
		return -1
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	r.note("application <- %s %s", method, text)
	answer := struct {
		Result any
		Error  struct{ Code int }
	}{Result: result}
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil {
		r.fail("%s: status %d, error %v: %s", method, response.StatusCode, err, text)
		return -1
	}
	return answer.Error.Code
}

// publish publishes a message and returns its number and to how many it was posted.
func (r *round) publish(channel, idempotencyKey string) (n, delivered int, ok bool) {
	n = r.publication(channel)
	body := map[string]any{"channel": channel, "data": map[string]int{"n": n}}
	if idempotencyKey != "" {
		body["idempotency_key"] = idempotencyKey
	}
	result := struct{ Delivered int }{inStream}
	switch code := r.call("publish", body, &result); {
	case code == 0:
		r.published(n)
		return n, result.Delivered, true
	case !r.expected(code):
		r.fail("publish in %s was answered with error %d", channel, code)
	}
	return n, 0, false
}

// applicationActs publishes, and where it takes part unsubscribes and disconnects users.
func (r *round) applicationActs(random *rand.Rand) {
	for range 8 + random.IntN(12) {
		r.pause(time.Duration(random.IntN(20)) * time.Millisecond)
		channel, user := channels[random.IntN(len(channels))], []string{"ada", "bob"}[random.IntN(2)]
		switch n := random.IntN(10); {
		case n < 1:
			r.publishTwice(channel, fmt.Sprint(random.Uint64()))
		case n < 2:
			if code := r.call("presence", map[string]any{"channel": channel}, nil); code != 0 && !r.expected(code) {
				r.fail("presence of %s was answered with error %d", channel, code)
			}
		case n < 4 && r.application:
			r.unsubscribe(user, channel)
		case n < 5 && r.application:
			r.disconnect(user)
		default:
			r.publish(channel, "")
		}
	}
}

// inStream is the number of deliveries of a message in a stream: nobody counts them.
const inStream = -1

// publishTwice publishes one message twice under one idempotency key: once is sent.
func (r *round) publishTwice(channel, key string) {
	n, first, ok := r.publish(channel, key)
	if !ok {
		return
	}
	result := struct{ Delivered int }{inStream}
	code := r.call("publish", map[string]any{"channel": channel, "data": map[string]int{"n": n}, "idempotency_key": key}, &result)
	// A category that was created again is another one.
	turned := strings.HasPrefix(channel, "log:") && (first == inStream || result.Delivered == inStream) // its history
	if (code != 0 || result.Delivered != first && !turned) && !r.administrator {
		r.fail("publish in %s was repeated under its key: error %d, delivered %d, at first %d", channel, code, result.Delivered, first)
	}
}

func (r *round) unsubscribe(user, channel string) {
	r.touch(user + " " + channel)
	began := time.Now()
	if code := r.call("unsubscribe", map[string]any{"user": user, "channel": channel}, nil); code != 0 {
		if !r.expected(code) {
			r.fail("unsubscribe was answered with error %d", code)
		}
		return
	}
	now := time.Now()
	for _, l := range r.linksOf(user) {
		l.mu.Lock()
		// A subscribe that overlaps may come after it.
		if settled := !slices.ContainsFunc(l.events[channel], func(e *event) bool { return e.answered.IsZero() || e.answered.After(began) }); settled &&
			!l.entered.IsZero() && l.entered.Before(began) {
			l.since[channel] = now
		}
		l.mu.Unlock()
	}
}

func (r *round) disconnect(user string) {
	r.touch(user)
	began := time.Now()
	if code := r.call("disconnect", map[string]any{"user": user}, nil); code != 0 {
		r.fail("disconnect was answered with error %d", code)
		return
	}
	now := time.Now()
	for _, l := range r.linksOf(user) {
		l.mu.Lock()
		if !l.entered.IsZero() && l.entered.Before(began) {
			l.disconnected = now
		}
		l.mu.Unlock()
	}
}

// linksOf are the connections of a user that were opened in the round, all for "".
func (r *round) linksOf(user string) []*link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.links), func(l *link) bool { return user != "" && l.user != user })
}

// administratorActs changes the project and its categories, in the function that the others
// use or in another one.
func (r *round) administratorActs(random *rand.Rand) {
	stores := []*store.Store{r.rig.App.Store, r.rig.other}
	for range 1 + random.IntN(4) {
		r.pause(time.Duration(random.IntN(60)) * time.Millisecond)
		category, _ := split(channels[random.IntN(len(channels))])
		s := stores[random.IntN(len(stores))]
		switch random.IntN(6) {
		case 0:
			for range 1 + random.IntN(2) {
				r.editCategory(s, category, category, func(c *hub.Category) { c.Private = !c.Private })
			}
		case 1:
			r.recreate(s, category, random.IntN(3))
		case 2, 3:
			r.raiseShards(s, category)
		case 4:
			r.editProject(s, "", func(p *hub.Project) {
				p.Secret = fmt.Sprintf("secret-%d", random.Uint64())
				r.mu.Lock()
				defer r.mu.Unlock()
				r.secret = p.Secret
			})
		case 5:
			r.editProject(s, "", func(p *hub.Project) {
				switch {
				case len(p.Options.Origins) == 0:
					p.Options.Origins = []string{"https://other.example"}
				default:
					p.Options.Origins = nil
				}
			})
		}
	}
}

// operatorActs raises the shards of categories in another function, and turns the history of
// one off and on, which changes nothing for clients.
func (r *round) operatorActs(random *rand.Rand) {
	for range 1 + random.IntN(3) {
		r.pause(time.Duration(random.IntN(60)) * time.Millisecond)
		category, _ := split(channels[random.IntN(len(channels))])
		if random.IntN(2) == 0 {
			r.keepHistory(r.rig.other, random.IntN(2) == 0)
			continue
		}
		r.raiseShards(r.rig.other, category)
	}
}

// keepHistory turns the history of the category log on or off.
func (r *round) keepHistory(s *store.Store, on bool) {
	r.editCategory(s, "history", "log", func(c *hub.Category) {
		c.HistorySize, c.HistoryTTL = 0, 0
		if on {
			c.HistorySize, c.HistoryTTL = 1000, hub.Duration(10*time.Minute)
		}
	})
}

func (r *round) raiseShards(s *store.Store, category string) {
	r.editCategory(s, "shards", category, func(c *hub.Category) { c.Shards = 2 * c.ShardCount() })
}

func (r *round) editProject(s *store.Store, touched string, edit func(*hub.Project)) {
	r.touch(touched)
	p, err := s.ReadProject(r.t.Context(), project)
	if err == nil {
		edit(p)
		r.note("administrator writes the project: origins %v, another secret %v", p.Options.Origins, p.Secret)
		err = s.PutProject(r.t.Context(), p)
	}
	if err != nil {
		r.fail("write project: %v", err)
	}
	r.note("administrator has written the project")
}

func (r *round) editCategory(s *store.Store, touched, name string, edit func(*hub.Category)) {
	r.touch(touched)
	p, err := s.ReadProject(r.t.Context(), project)
	if err == nil {
		c := p.Categories[name]
		edit(&c)
		r.note("administrator writes %s: private %v, %d shards, history of %d", name, c.Private, c.ShardCount(), c.HistorySize)
		err = s.PutCategory(r.t.Context(), project, c)
	}
	if err != nil {
		r.fail("write category %s: %v", name, err)
	}
	r.note("administrator has written %s", name)
}

// recreate deletes a category and creates one of its name with other shards.
func (r *round) recreate(s *store.Store, name string, shards int) {
	r.touch(name)
	p, err := s.ReadProject(r.t.Context(), project)
	if err == nil {
		r.note("administrator deletes %s", name)
		err = s.DeleteCategory(r.t.Context(), project, name)
	}
	if err == nil {
		// Without the record of the deletion, creating does not wait until it is known.
		_, err = r.rig.fast.DeleteItem(r.t.Context(), &dynamodb.DeleteItemInput{TableName: &r.rig.table, Key: map[string]types.AttributeValue{
			schema.PartitionKey: &types.AttributeValueMemberS{Value: "D#" + project + "#" + name},
			schema.SortKey:      &types.AttributeValueMemberS{Value: "-"},
		}})
	}
	if err == nil {
		c := p.Categories[name]
		c.Revision, c.Private, c.Shards = 0, false, shards
		r.note("administrator creates %s", name)
		err = s.PutCategory(r.t.Context(), project, c)
	}
	if err != nil {
		r.fail("create category %s again: %v", name, err)
	}
	r.note("administrator has created %s", name)
}

// round plays and checks one round.
func (g *rig) round(t *testing.T, n int) {
	random := rand.New(rand.NewPCG(*seed, uint64(n))) //nolint:gosec // a repeatable round
	r := &round{t: t, rig: g, start: time.Now(), expires: time.Now().Add(time.Hour), touched: make(map[string]bool)}
	r.application = random.IntN(2) == 0
	cast := random.IntN(3)
	r.administrator = cast == 0
	g.log.loseDisconnects(nil)
	if random.IntN(3) == 0 {
		r.note("every second $disconnect is lost")
		g.log.loseDisconnects(rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))) //nolint:gosec // a repeatable loss
	}
	r.reset()
	actors := []func(*rand.Rand){
		func(random *rand.Rand) { r.client("ada", page, random) },
		func(random *rand.Rand) { r.client("bob", "", random) },
		r.applicationActs,
	}
	switch cast {
	case 0:
		actors = append(actors, r.administratorActs)
	case 1:
		actors = append(actors, r.operatorActs)
	}
	var wg sync.WaitGroup
	for _, act := range actors {
		own := rand.New(rand.NewPCG(random.Uint64(), random.Uint64())) //nolint:gosec // a repeatable actor
		wg.Go(func() { act(own) })
	}
	wg.Wait()
	r.judge()
	for _, line := range g.log.failed() {
		r.fail("the service logged %s", line)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed {
		t.Errorf("seed %d, round %d; repeat it with -seed %d -round %d:\n%s", *seed, n, *seed, n, strings.Join(r.history, "\n"))
	}
}

// reset makes the project what it is at the start of every round.
func (r *round) reset() {
	s := r.rig.App.Store
	r.secret = "secret-0"
	r.keepHistory(s, true)
	for _, category := range []string{"open", "room", "wide", "log"} {
		r.recreate(s, category, map[string]int{"wide": 2}[category])
	}
	r.editProject(s, "", func(p *hub.Project) { p.Secret, p.Options.Origins = r.secret, nil })
	clear(r.touched)
}

// judge checks the state after all actors have stopped.
func (r *round) judge() {
	r.note("the actors have stopped")
	for _, l := range r.linksOf("") {
		l.settle()
	}
	live := r.quiesce()
	// This drops the project from the cache.
	r.editProject(r.rig.App.Store, "nothing", func(*hub.Project) {})
	r.checkAgreement(live)
	r.checkSpans()
	for _, l := range r.quiesce() {
		l.hangUp()
	}
	r.checkNothingRemains()
}

// quiesce returns the connections that are open when every client has received what was
// posted to it and the work of every connection that has ended is done.
func (r *round) quiesce() []*link {
	ctx, cancel := context.WithTimeout(r.t.Context(), hang)
	defer cancel()
	var live []*link
	for _, l := range r.linksOf("") {
		if l.alive() && l.fence() {
			live = append(live, l)
		}
	}
	if err := r.rig.log.wait(ctx, len(live)); err != nil {
		r.fail("%d clients are connected, and these connections are open: %v", len(live), r.rig.log.connections())
	}
	r.rig.Wait()
	return live
}

// state is what connections name, and what presence lists.
type state struct {
	project     *hub.Project
	connections map[string]hub.Connection // by user
	present     map[string][]string       // users by channel
}

// read reads the state without connections whose $disconnect was lost. lost means that
// presence may list them.
func (r *round) read(lost bool) (s state) {
	var err error
	if s.project, err = r.rig.App.Store.ReadProject(r.t.Context(), project); err != nil {
		r.fail("%v", err)
		return s
	}
	s.connections, s.present = make(map[string]hub.Connection), make(map[string][]string)
	users := make(map[string]string)
	for _, user := range []string{"ada", "bob"} {
		found, err := r.rig.App.Store.UserConnections(r.t.Context(), project, user)
		found = slices.DeleteFunc(found, func(c hub.Connection) bool { return r.rig.log.isLost(c.ID) })
		if err != nil || len(found) > 1 {
			r.fail("%s has %d connections in the table: %+v, error %v", user, len(found), found, err)
		}
		for _, c := range found {
			s.connections[user], users[c.ID] = c, user
		}
	}
	for _, ch := range channels {
		at, err := hub.ParseChannel(project, ch)
		if err != nil {
			r.fail("%v", err)
		}
		clients, err := r.rig.App.Hub.Presence(r.t.Context(), s.project, at)
		if err != nil {
			r.fail("presence of %s: %v", ch, err)
		}
		s.present[ch] = []string{}
		for _, c := range clients {
			user, known := users[c.Connection]
			if lost && r.rig.log.isLost(c.Connection) {
				continue
			}
			if !known {
				user = "the connection " + c.Connection + " of " + c.User + ", which does not exist"
			}
			s.present[ch] = append(s.present[ch], user)
		}
		slices.Sort(s.present[ch])
	}
	return s
}

// right reports whether a connection may be in a channel.
func (s state) right(c hub.Connection, channel string) bool {
	category, name := split(channel)
	origins := s.project.Options.Origins
	granted := c.Permissions.Everything || c.Permissions.Categories[category].Allows(name)
	return c.Secret == s.project.SecretID() && (len(origins) == 0 || c.Origin == "" || slices.Contains(origins, c.Origin)) &&
		granted && (c.Permissions.Confirmed || !s.project.Categories[category].Private)
}

// named are the users whose connections name a channel in its present incarnation.
func (s state) named(channel string) []string {
	at, err := hub.ParseChannel(project, channel)
	if err != nil {
		return nil
	}
	users := []string{}
	for user, c := range s.connections {
		if _, ok := c.Channels[s.project.Locate(at)]; ok {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return users
}

// checkAgreement compares what clients believe, what a message reaches, what presence lists
// and what the connections name.
func (r *round) checkAgreement(live []*link) {
	before := r.read(true)
	numbers, counts := make(map[string]int), make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, ch := range channels {
		wg.Go(func() {
			n, delivered, ok := r.publish(ch, "")
			if !ok {
				r.fail("publish in %s failed", ch)
			}
			mu.Lock()
			defer mu.Unlock()
			numbers[ch], counts[ch] = n, delivered
		})
	}
	wg.Wait()
	r.rig.Wait()
	r.quiesce()
	after := r.read(false)
	for _, ch := range channels {
		delivered := []string{}
		for _, l := range live {
			l.mu.Lock()
			reached := l.received[numbers[ch]] > 0
			l.mu.Unlock()
			if reached {
				delivered = append(delivered, l.user)
			}
			if reached && !before.right(before.connections[l.user], ch) {
				r.fail("%s received message %d in %s without a right to it", l.name, numbers[ch], ch)
			}
			if b := l.believes(ch); r.undisturbed(l.user, ch) && b != either && (b == in) != reached {
				r.fail("%s believes it is %v in %s, but message %d reached it: %v", l.name, b, ch, numbers[ch], reached)
			}
		}
		slices.Sort(delivered)
		named := slices.DeleteFunc(before.named(ch), func(user string) bool { return !before.right(before.connections[user], ch) })
		if !slices.Equal(delivered, before.present[ch]) || !slices.Equal(delivered, named) || counts[ch] != inStream && len(delivered) != counts[ch] {
			r.fail("in %s message %d reached %v, was posted to %d, presence listed %v and the connections named %v",
				ch, numbers[ch], delivered, counts[ch], before.present[ch], named)
		}
		if !slices.Equal(delivered, after.present[ch]) || !slices.Equal(delivered, after.named(ch)) {
			r.fail("after message %d in %s, which reached %v, presence lists %v and the connections name %v",
				numbers[ch], ch, delivered, after.present[ch], after.named(ch))
		}
	}
}

// checkSpans checks that a client received every message that was published while it was in
// the channel without doubt.
func (r *round) checkSpans() {
	r.mu.Lock()
	publications := slices.Clone(r.publications)
	r.mu.Unlock()
	for _, l := range r.linksOf("") {
		l.mu.Lock()
		spans := slices.Clone(l.spans)
		l.mu.Unlock()
		for _, s := range spans {
			for i, p := range publications {
				l.mu.Lock()
				received := l.received[i+1]
				l.mu.Unlock()
				during := p.channel == s.channel && p.began.After(s.from) && !p.ended.IsZero() && (s.to.IsZero() || p.ended.Before(s.to))
				if during && received == 0 && r.undisturbed(l.user, s.channel) {
					r.fail("%s did not receive message %d in %s, although its subscribe was acknowledged", l.name, i+1, s.channel)
				}
			}
		}
	}
}

// checkNothingRemains checks that connections that have ended, and one message in every
// channel, leave nothing in the table.
func (r *round) checkNothingRemains() {
	ctx, cancel := context.WithTimeout(r.t.Context(), hang)
	defer cancel()
	err := r.rig.log.wait(ctx, 0)
	r.rig.Wait()
	for _, ch := range channels {
		if _, delivered, ok := r.publish(ch, ""); !ok || delivered > 0 {
			r.fail("a message in %s was posted to %d clients after all have left", ch, delivered)
		}
	}
	r.rig.Wait()
	remains, scanErr := r.rig.remains(ctx)
	if err := errors.Join(err, scanErr); err != nil || len(remains) > 0 {
		r.fail("after all have left this remains in the table: %v, error %v", remains, err)
	}
}
