package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// rig is a hub over a real table, with a clock, an application and a dispatcher that
// the test controls.
type rig struct {
	*hub.Publisher
	store *storetest.Store
	now   time.Time
	// confirmation and refusal are the answer of validate_url, asked counts its calls.
	confirmation hub.Confirmation
	refusal      error
	asked        int
	// failure is the error of a dispatch, unread the shards that it cannot read. received
	// are the connections that got the last message, fed those that got it in the feed.
	failure  error
	during   func() // called in a dispatch, where set
	unread   map[hub.Channel][]hub.Unread
	received []string
	fed      []string
	data     string
	sent     int
	ids      []string // of the messages sent
	// gone are the connections that a post finds gone. announced are the joins and
	// leaves: "join room:x c2 to c1".
	gone         []string
	disconnected []string
	notices      []hub.Notice
	pinged       []string   // the connections that got a ping
	stuck        error      // of Disconnect, where set
	mu           sync.Mutex // of the clock, and of what dispatches record
	announced    []string
	// posted are the publications that were sent to the subscribers of their channel, watched
	// the messages that were sent to the feed, emitted those that the event hooks got.
	posted, watched, emitted []hub.Message
	// reported are the other events that the hooks got.
	reported []hub.HookEvent
	// invoked are the channels for which a dispatcher was invoked.
	invoked []hub.Channel
	log     bytes.Buffer
}

const (
	projectID = "p"
	conn      = "c1"
)

func newRig(t *testing.T, o hub.ProjectOptions) *rig {
	t.Helper()
	r := &rig{now: time.Unix(1_800_000_000, 0)}
	r.store = storetest.New(t, store.Options{Now: r.clock, CountEvery: -1, Wait: func(_ context.Context, d time.Duration) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now = r.now.Add(d)
		return nil
	}})
	if err := r.store.PutProject(t.Context(), &hub.Project{ID: projectID, Name: "P", Secret: "s", Options: o}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []hub.Category{
		{ID: "1", Name: "open", CategoryOptions: hub.CategoryOptions{Bidirectional: true}},
		{ID: "2", Name: "closed", CategoryOptions: hub.CategoryOptions{Private: true}},
		{ID: "3", Name: "room", CategoryOptions: hub.CategoryOptions{JoinLeave: true, Presence: true}},
		{ID: "4", Name: "watched", CategoryOptions: hub.CategoryOptions{PublishToAdmins: true, Bidirectional: true}},
		{ID: "5", Name: "hooked", CategoryOptions: hub.CategoryOptions{Hooks: true}},
		{ID: "6", Name: "cleaned", CategoryOptions: hub.CategoryOptions{CleanHTML: true, AllowedDomains: []string{"example.com"}, MaxMessageBytes: 30}},
	} {
		if err := r.store.PutCategory(t.Context(), projectID, c); err != nil {
			t.Fatal(err)
		}
	}
	r.hub(t, r.store.Store)
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// hub makes the hub anew, over a store.
func (r *rig) hub(t *testing.T, s *store.Store) {
	t.Helper()
	var err error
	r.Publisher, err = hub.NewPublisher(hub.PublisherOptions{Options: hub.Options{
		Store: s, Dispatcher: dispatcher{r}, Callback: r, VerifyToken: verify, Now: r.clock, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Hooks: r,
	}, Clean: clean, Streams: delivery.NewLeased(delivery.LeasedOptions{Streams: s, Invoker: r, Now: r.clock})})
	if err != nil {
		t.Fatal(err)
	}
}

// verify accepts a token that is the JSON of an identity. One without a secret is made with
// the present one.
func verify(p *hub.Project, user, token string, now time.Time) (hub.Identity, error) {
	var id hub.Identity
	if json.Unmarshal([]byte(token), &id) != nil || id.User != user {
		return hub.Identity{}, hub.ErrInvalidToken
	}
	if !id.Expires.IsZero() && !id.Expires.After(now) {
		return hub.Identity{}, hub.ErrTokenExpired
	}
	if id.Secret == "" {
		id.Secret = p.SecretID()
	}
	return id, nil
}

func token(t *testing.T, id hub.Identity) string {
	t.Helper()
	b, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (r *rig) Validate(context.Context, *hub.Project, string, hub.Permissions) (hub.Confirmation, error) {
	r.asked++
	return r.confirmation, r.refusal
}

// dispatcher reads real subscribers and records what it would post.
type dispatcher struct{ *rig }

func (d dispatcher) Dispatch(ctx context.Context, to hub.Audience, messages []hub.Message) (hub.Result, error) {
	r := d.rig
	if r.during != nil {
		r.during()
	}
	if r.failure != nil {
		return hub.Result{}, r.failure
	}
	var received []string
	result := hub.Result{Unread: r.unread[to.Channel]}
	only := make(map[string]bool)
	for _, s := range to.Only {
		only[s.Connection] = true
	}
	for shard := range to.Shards {
		for page, err := range r.store.Subscribers(context.WithoutCancel(ctx), to.Channel, shard) {
			if err != nil {
				return hub.Result{}, err
			}
			for _, s := range page {
				if to.Only != nil && !only[s.Connection] {
					continue
				}
				found := hub.Gone{Connection: s.Connection, Channel: to.Channel, Shard: shard, Hidden: s.Hidden}
				if s.Hidden || slices.Contains(r.gone, s.Connection) {
					result.Gone = append(result.Gone, found)
					continue
				}
				if s.Expired {
					result.Ended = append(result.Ended, hub.Ended{Gone: found, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis, Standing: s.Standing})
					continue
				}
				if !to.Rule.Admits(s.Basis) {
					result.Ended = append(result.Ended, hub.Ended{Gone: found, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis})
					continue
				}
				received = append(received, s.Connection)
			}
		}
	}
	result.Delivered = len(received)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range messages {
		switch {
		case m.Event != "":
			r.announced = append(r.announced, fmt.Sprintf("%s %s %s to %s", m.Event, m.Channel, m.Client.Connection, strings.Join(received, " ")))
		case to.Channel == hub.Feed(projectID):
			r.fed = append(r.fed, received...)
			r.watched = append(r.watched, m)
		default:
			if m.Position.Offset > 0 {
				r.posted = append(r.posted, m)
			}
			if to.Only == nil {
				r.sent++
				r.ids = append(r.ids, m.ID)
				r.received = nil
			}
			r.received, r.data = append(r.received, received...), string(m.Data)
		}
	}
	return result, nil
}

// Invoke records that a dispatcher of a stream was invoked.
func (r *rig) Invoke(_ context.Context, ch hub.Channel) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.invoked = append(r.invoked, ch)
	return nil
}

func (d dispatcher) Check(hub.Message) error { return d.failure }

func (d dispatcher) Disconnect(ctx context.Context, connections []string) (open []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.stuck, ctx.Err()); err != nil {
		return connections, err
	}
	d.disconnected = append(d.disconnected, connections...)
	return nil, nil
}

func (d dispatcher) Notify(ctx context.Context, notices []hub.Notice) (missed []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.failure, ctx.Err()); err != nil {
		for _, n := range notices {
			missed = append(missed, n.Connection)
		}
		return missed, err
	}
	d.notices = append(d.notices, notices...)
	return nil, nil
}

func (d dispatcher) Ping(_ context.Context, _ hub.Protocol, connections []string) (result hub.Result, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range connections {
		if slices.Contains(d.gone, c) {
			result.Gone = append(result.Gone, hub.Gone{Connection: c})
			continue
		}
		result.Delivered++
		d.pinged = append(d.pinged, c)
	}
	return result, d.failure
}

func (r *rig) Emit(_ context.Context, messages ...hub.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emitted = append(r.emitted, messages...)
}

func (r *rig) Report(_ context.Context, events ...hub.HookEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reported = append(r.reported, events...)
}

// clean replaces the sanitizer, which has tests of its own. It makes data that begins
// with "&" longer.
func clean(data json.RawMessage, domains []string) (json.RawMessage, error) {
	if strings.HasPrefix(string(data), `"&`) {
		return json.RawMessage(strings.ReplaceAll(string(data), "&", "&amp;")), nil
	}
	return json.RawMessage(fmt.Sprintf(`"clean for %s: %d"`, strings.Join(domains, " "), len(data))), nil
}

// in parses channels: "room:x".
func in(names ...string) (channels []hub.Channel) {
	for _, name := range names {
		category, channel, _ := strings.Cut(name, ":")
		channels = append(channels, hub.Channel{Category: category, Name: channel})
	}
	return channels
}

// by is a command of a connection, received now.
func by(connection string) hub.Command { return hub.Command{Connection: connection} }

// names are the names of refused channels.
func names(refused []hub.Refusal) (names []string) {
	for _, r := range refused {
		names = append(names, r.Channel.String())
	}
	return names
}

func (r *rig) open(t *testing.T) {
	t.Helper()
	if err := r.Connect(t.Context(), hub.Handshake{Connection: conn}); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) auth(t *testing.T, id hub.Identity, requested hub.Permissions) error {
	t.Helper()
	_, err := r.Authenticate(t.Context(), hub.Credentials{
		Command: by(conn), Protocol: hub.Classic, Project: projectID, User: id.User, Token: token(t, id), Permissions: requested,
	})
	return err
}

func (r *rig) publish(t *testing.T, key string) error {
	t.Helper()
	p, err := r.store.Project(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Publish(t.Context(), p, hub.Channel{Project: projectID, Category: "open", Name: "x"}, json.RawMessage(`1`), hub.PublishOptions{IdempotencyKey: key})
	return err
}

var (
	all    = hub.Permissions{Everything: true}
	closed = hub.Permissions{Categories: map[string]hub.Grant{"closed": {Whole: true}}}
)

func confirmed(p hub.Permissions) hub.Permissions {
	p.Confirmed = true
	return p
}

func TestGrants(t *testing.T) {
	const validateURL = "https://example.com/validate"
	granted := confirmed(closed)
	for _, tt := range []struct {
		name     string
		url      string
		identity hub.Identity
		request  hub.Permissions
		refusal  error
		asked    int
		refused  []string // of open:x and closed:y
		fails    error
	}{
		{name: "no callback", identity: hub.Identity{User: "u"}, request: all, refused: []string{"closed:y"}},
		{name: "no callback: request that says it is confirmed", identity: hub.Identity{User: "u"}, request: confirmed(all), refused: []string{"closed:y"}},
		{name: "token with permissions", identity: hub.Identity{User: "u", Permissions: &granted}, request: all, refused: []string{"open:x"}},
		{name: "token with permissions, and a callback", url: validateURL, identity: hub.Identity{User: "u", Permissions: &granted}, request: all, refused: []string{"open:x"}},
		{name: "callback that narrows the request", url: validateURL, identity: hub.Identity{User: "u"}, request: all, asked: 1, refused: []string{"open:x"}},
		{name: "callback that refuses", url: validateURL, identity: hub.Identity{User: "u"}, request: all, asked: 1, refusal: hub.ErrPermissionDenied, fails: hub.ErrPermissionDenied},
		{name: "anonymous user, and a callback", url: validateURL, request: all, refused: []string{"closed:y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{ValidateURL: tt.url})
			r.confirmation, r.refusal = hub.Confirmation{Permissions: granted}, tt.refusal
			r.open(t)
			if err := r.auth(t, tt.identity, tt.request); !errors.Is(err, tt.fails) || r.asked != tt.asked {
				t.Fatalf("error %v, the application was asked %d times", err, r.asked)
			}
			if tt.fails != nil {
				return
			}
			refused, err := r.Subscribe(t.Context(), by(conn), in("open:x", "closed:y"))
			if diff := cmp.Diff(tt.refused, names(refused)); err != nil || diff != "" {
				t.Errorf("error %v, -expected +refused:\n%s", err, diff)
			}
		})
	}
}

func TestTokenExpiry(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t)
	short := hub.Identity{User: "u", Expires: r.now.Add(time.Minute)}
	if err := r.auth(t, short, all); err != nil {
		t.Fatal(err)
	}
	subscribe := func() error {
		_, err := r.Subscribe(t.Context(), by(conn), in("open:x"))
		return err
	}
	if err := subscribe(); err != nil {
		t.Fatal(err)
	}
	if err := r.publish(t, ""); err != nil || !slices.Equal(r.received, []string{conn}) {
		t.Fatalf("before the expiry %v received, error %v", r.received, err)
	}

	r.now = r.now.Add(time.Minute)
	if err := r.publish(t, ""); err != nil || len(r.received) > 0 {
		t.Errorf("after the expiry %v received, error %v", r.received, err)
	}
	for name, err := range map[string]error{
		"subscribe":   subscribe(),
		"unsubscribe": r.Unsubscribe(t.Context(), by(conn), in("open:x")),
		"broadcast":   r.Broadcast(t.Context(), by(conn), in("open:x")[0], json.RawMessage(`{}`)),
		"auth":        r.auth(t, short, all),
	} {
		if !errors.Is(err, hub.ErrTokenExpired) {
			t.Errorf("%s after the expiry: error %v", name, err)
		}
	}

	if err := r.auth(t, hub.Identity{User: "u", Expires: r.now.Add(time.Hour)}, all); err != nil {
		t.Fatalf("a fresh token: %v", err)
	}
	if err := subscribe(); err != nil {
		t.Fatal(err)
	}
	if err := r.publish(t, ""); err != nil || !slices.Equal(r.received, []string{conn}) {
		t.Errorf("with a fresh token %v received, error %v", r.received, err)
	}
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		name          string
		hs            hub.Handshake
		connect, auth error
	}{
		{"a listed origin", hub.Handshake{Origin: "https://good.example"}, nil, nil},
		{"a listed origin and a project in the URL", hub.Handshake{Origin: "https://good.example", Project: projectID}, nil, nil},
		{"another origin", hub.Handshake{Origin: "https://evil.example"}, nil, hub.ErrPermissionDenied},
		{"another origin and a project in the URL", hub.Handshake{Origin: "https://evil.example", Project: projectID}, hub.ErrPermissionDenied, nil},
		{"no origin", hub.Handshake{}, nil, nil},
		{"another origin and another project in the URL", hub.Handshake{Origin: "https://evil.example", Project: "other"}, nil, hub.ErrPermissionDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{Origins: []string{"https://good.example"}})
			if err := r.store.PutProject(t.Context(), &hub.Project{ID: "other", Name: "O", Secret: "s"}); err != nil {
				t.Fatal(err)
			}
			tt.hs.Connection = conn
			if err := r.Connect(t.Context(), tt.hs); !errors.Is(err, tt.connect) || err != nil && tt.connect == nil {
				t.Fatalf("connect: error %v", err)
			}
			if tt.connect != nil {
				return
			}
			if err := r.auth(t, hub.Identity{User: "u"}, all); !errors.Is(err, tt.auth) || err != nil && tt.auth == nil {
				t.Errorf("auth: error %v", err)
			}
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	broken := errors.New("the table is missing")
	ch := hub.Channel{Project: projectID, Category: "open", Name: "x"}
	for _, tt := range []struct {
		name    string
		before  func()
		failure error
		key     string
		fails   error
		sent    int
	}{
		{name: "first publish", key: "k", sent: 1},
		{name: "second publish", key: "k"},
		{name: "another key", key: "l", sent: 1},
		{name: "no key", sent: 1},
		{name: "failed publish", key: "m", failure: broken, fails: broken},
		{name: "second publish after a failed one", key: "m", sent: 1},
		{name: "publish while another is in progress", key: "n", fails: hub.ErrConflict, before: func() {
			if _, err := r.store.Claim(t.Context(), r.project(t).Locate(ch), "n", "id", r.now); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "publish after the lease", key: "n", sent: 1, before: func() { r.now = r.now.Add(hub.IdempotencyLease + time.Second) }},
		{name: "publish after the window", key: "k", sent: 1, before: func() { r.now = r.now.Add(hub.IdempotencyWindow) }},
	} {
		if tt.before != nil {
			tt.before()
		}
		r.failure, r.sent = tt.failure, 0
		if err := r.publish(t, tt.key); !errors.Is(err, tt.fails) || err != nil && tt.fails == nil || r.sent != tt.sent {
			t.Errorf("%s: error %v, sent %d", tt.name, err, r.sent)
		}
	}
}

// TestIdempotencyKeyMessageID checks that repeats under a key have the event id of the first
// publish, and that a publish whose claim cannot be settled succeeds.
func TestIdempotencyKeyMessageID(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	publish := func(key string) error {
		_, err := r.Publish(t.Context(), r.project(t), in("open:x")[0], json.RawMessage(`1`), hub.PublishOptions{IdempotencyKey: key})
		return err
	}
	t.Run("a publish that failed", func(t *testing.T) {
		r.ids = nil
		r.unread = map[hub.Channel][]hub.Unread{r.project(t).Locate(in("open:x")[0]): {{Shard: 1, Cause: "throttled"}}}
		if err := publish("failed"); err == nil {
			t.Fatal("no error")
		}
		r.unread = nil
		if err := publish("failed"); err != nil || len(r.ids) != 2 || r.ids[0] != r.ids[1] {
			t.Errorf("ids %v, error %v", r.ids, err)
		}
	})
	t.Run("a claim that cannot be settled", func(t *testing.T) {
		r.ids = nil
		r.store.Requests.Intercept = func(op string, request *http.Request) (*http.Response, error) {
			if op == "PutItem" {
				return refusal(request), nil
			}
			return nil, nil
		}
		if err := publish("unsettled"); err != nil || !strings.Contains(r.log.String(), "settle idempotency key failed") {
			t.Errorf("error %v, log %s", err, r.log.String())
		}
		r.store.Requests.Intercept = nil
		if err := publish("unsettled"); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("within the lease: error %v", err)
		}
		r.now = r.now.Add(hub.IdempotencyLease + time.Second)
		if err := publish("unsettled"); err != nil || len(r.ids) != 2 || r.ids[0] != r.ids[1] {
			t.Errorf("ids %v, error %v", r.ids, err)
		}
	})
	t.Run("another key", func(t *testing.T) {
		r.ids = nil
		if err := errors.Join(publish("one"), publish("another")); err != nil || len(r.ids) != 2 || r.ids[0] == r.ids[1] {
			t.Errorf("ids %v, error %v", r.ids, err)
		}
	})
}
