package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// rig is a hub over a real table, with a clock that the test moves, an application
// that answers what the test says, and a delivery that notes who would receive.
type rig struct {
	*hub.Hub
	store   *store.Store
	now     time.Time
	answer  hub.Answer
	refusal error
	asked   int
	// failure is what delivering fails with, received who got the last message.
	failure  error
	received []string
	data     string
	sent     int
	// over are connections that a post finds to be over, told every join and leave as
	// "join room:x c2 to c1".
	over []string
	mu   sync.Mutex // of told
	told []string
	// emitted are the messages that event hooks got.
	emitted []hub.Message
}

const (
	projectID = "p"
	conn      = "c1"
)

func newRig(t *testing.T, o hub.ProjectOptions) *rig {
	t.Helper()
	r := &rig{now: time.Unix(1_800_000_000, 0)}
	clock := func() time.Time { return r.now }
	r.store = storetest.New(t, store.Options{Now: clock, CountEvery: -1}).Store
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
	r.Hub = hub.New(hub.Options{
		Projects: r.store, Connections: r.store, Subscriptions: r.store, Claims: r.store, Usages: r.store, Presences: r.store,
		Counters: r.store, Delivery: r, Callback: r, VerifyToken: verify, Hooks: r, Clean: clean, Now: clock,
	})
	return r
}

// verify takes a token that is the JSON of an identity.
func verify(_ *hub.Project, user, token string, now time.Time) (hub.Identity, error) {
	var id hub.Identity
	if json.Unmarshal([]byte(token), &id) != nil || id.User != user {
		return hub.Identity{}, hub.ErrInvalidToken
	}
	if !id.Expires.IsZero() && !id.Expires.After(now) {
		return hub.Identity{}, hub.ErrTokenExpired
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

func (r *rig) Validate(context.Context, *hub.Project, string, hub.Permissions) (hub.Answer, error) {
	r.asked++
	return r.answer, r.refusal
}

func (r *rig) Deliver(ctx context.Context, m hub.Message, to []hub.Audience, gone func(context.Context, hub.Place) error) (hub.Report, error) {
	if r.failure != nil {
		return hub.Report{}, r.failure
	}
	var received []string
	report := hub.Report{}
	for _, audience := range to {
		for shard := range audience.Shards {
			for page, err := range r.store.Subscribers(ctx, audience.Channel, shard) {
				if err != nil {
					return hub.Report{}, err
				}
				for _, s := range page {
					if slices.Contains(r.over, s.Connection) {
						report.Gone++
						if err := gone(ctx, hub.Place{Channel: audience.Channel, Shard: shard, Connection: s.Connection}); err != nil {
							return hub.Report{}, err
						}
						continue
					}
					received = append(received, s.Connection)
				}
			}
		}
	}
	report.Delivered = len(received)
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Event != "" {
		r.told = append(r.told, fmt.Sprintf("%s %s %s to %s", m.Event, m.Channel, m.Client.Connection, strings.Join(received, " ")))
		return report, nil
	}
	r.sent++
	r.received, r.data = received, string(m.Data)
	return report, nil
}

func (r *rig) Emit(_ context.Context, m hub.Message) { r.emitted = append(r.emitted, m) }

// clean stands for the sanitizer, which has tests of its own.
func clean(data json.RawMessage, domains []string) (json.RawMessage, error) {
	return json.RawMessage(fmt.Sprintf(`"clean for %s: %d"`, strings.Join(domains, " "), len(data))), nil
}

func (r *rig) Disconnect(context.Context, []string) error { return nil }

func (r *rig) open(t *testing.T, hs hub.Handshake) {
	t.Helper()
	hs.Connection = conn
	if err := r.Connect(t.Context(), hs); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) auth(t *testing.T, id hub.Identity, wish hub.Permissions) error {
	t.Helper()
	return r.Authenticate(t.Context(), hub.Credentials{
		Connection: conn, Protocol: hub.Classic, Project: projectID, User: id.User, Token: token(t, id), Permissions: wish,
	})
}

func (r *rig) publish(t *testing.T, key string) error {
	t.Helper()
	p, err := r.store.Project(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Publish(t.Context(), p, hub.Publication{Category: "open", Channel: "x", Data: json.RawMessage(`1`)}, key)
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

func TestWhoGrants(t *testing.T) {
	const asks = "https://example.com/validate"
	granted := confirmed(closed)
	for _, tt := range []struct {
		name     string
		url      string
		identity hub.Identity
		wish     hub.Permissions
		refusal  error
		asked    int
		refused  hub.Selection // of {"open":["x"],"closed":["y"]}
		fails    error
	}{
		{name: "nobody: a wish opens what is not private", identity: hub.Identity{User: "u"}, wish: all, refused: hub.Selection{"closed": {"y"}}},
		{name: "nobody: a wish cannot confirm itself", identity: hub.Identity{User: "u"}, wish: confirmed(all), refused: hub.Selection{"closed": {"y"}}},
		{name: "the token: its permissions bind", identity: hub.Identity{User: "u", Permissions: &granted}, wish: all, refused: hub.Selection{"open": {"x"}}},
		{name: "the token: the application is not asked again", url: asks, identity: hub.Identity{User: "u", Permissions: &granted}, wish: all, refused: hub.Selection{"open": {"x"}}},
		{name: "the application: its answer counts", url: asks, identity: hub.Identity{User: "u"}, wish: all, asked: 1, refused: hub.Selection{"open": {"x"}}},
		{name: "the application: its no is final", url: asks, identity: hub.Identity{User: "u"}, wish: all, asked: 1, refusal: hub.ErrPermissionDenied, fails: hub.ErrPermissionDenied},
		{name: "the application is not asked about the anonymous", url: asks, wish: all, refused: hub.Selection{"closed": {"y"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{ValidateURL: tt.url})
			r.answer, r.refusal = hub.Answer{Permissions: granted}, tt.refusal
			r.open(t, hub.Handshake{})
			if err := r.auth(t, tt.identity, tt.wish); !errors.Is(err, tt.fails) || r.asked != tt.asked {
				t.Fatalf("error %v, the application was asked %d times", err, r.asked)
			}
			if tt.fails != nil {
				return
			}
			refused, err := r.Subscribe(t.Context(), conn, hub.Selection{"open": {"x"}, "closed": {"y"}})
			if diff := cmp.Diff(tt.refused, refused); err != nil || diff != "" {
				t.Errorf("error %v, -expected +refused:\n%s", err, diff)
			}
		})
	}
}

func TestAConnectionEndsWithItsToken(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t, hub.Handshake{})
	short := hub.Identity{User: "u", Expires: r.now.Add(time.Minute)}
	if err := r.auth(t, short, all); err != nil {
		t.Fatal(err)
	}
	subscribe := func() error {
		_, err := r.Subscribe(t.Context(), conn, hub.Selection{"open": {"x"}})
		return err
	}
	if err := subscribe(); err != nil {
		t.Fatal(err)
	}
	if err := r.publish(t, ""); err != nil || !slices.Equal(r.received, []string{conn}) {
		t.Fatalf("before the end %v received, error %v", r.received, err)
	}

	r.now = r.now.Add(time.Minute)
	if err := r.publish(t, ""); err != nil || len(r.received) > 0 {
		t.Errorf("after the end %v received, error %v", r.received, err)
	}
	for name, err := range map[string]error{
		"subscribe":   subscribe(),
		"unsubscribe": r.Unsubscribe(t.Context(), conn, hub.Selection{"open": {"x"}}),
		"broadcast":   r.Broadcast(t.Context(), conn, hub.Publication{Category: "open", Channel: "x", Data: json.RawMessage(`{}`)}),
		"auth":        r.auth(t, short, all),
	} {
		if !errors.Is(err, hub.ErrTokenExpired) {
			t.Errorf("%s after the end: error %v", name, err)
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
		{"another origin is refused at auth", hub.Handshake{Origin: "https://evil.example"}, nil, hub.ErrPermissionDenied},
		{"another origin is refused at once where the URL names the project", hub.Handshake{Origin: "https://evil.example", Project: projectID}, hub.ErrPermissionDenied, nil},
		{"no origin is no browser", hub.Handshake{}, nil, nil},
		{"a URL that names another project does not help", hub.Handshake{Origin: "https://evil.example", Project: "other"}, nil, hub.ErrPermissionDenied},
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

func TestIdempotency(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	broken := errors.New("the table is gone")
	ch := hub.Channel{Project: projectID, Category: "open", Name: "x"}
	for _, tt := range []struct {
		name    string
		before  func()
		failure error
		key     string
		fails   error
		sent    int
	}{
		{name: "the first is sent", key: "k", sent: 1},
		{name: "the second is not", key: "k"},
		{name: "another key is", key: "l", sent: 1},
		{name: "no key is", sent: 1},
		{name: "a failure is told", key: "m", failure: broken, fails: broken},
		{name: "and may be repeated", key: "m", sent: 1},
		{name: "one under way is a conflict", key: "n", fails: hub.ErrConflict, before: func() {
			if _, err := r.store.Claim(t.Context(), ch, "n", r.now); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "until its publisher is taken for dead", key: "n", sent: 1, before: func() { r.now = r.now.Add(hub.IdempotencyLease + time.Second) }},
		{name: "and a key is forgotten in the end", key: "k", sent: 1, before: func() { r.now = r.now.Add(hub.IdempotencyWindow) }},
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
