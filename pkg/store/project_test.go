package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/schema"
	"centrifuge/pkg/store/storetest"
)

func hashOf(apiKey string) string {
	sum := sha256.Sum256([]byte(apiKey))
	return hex.EncodeToString(sum[:])
}

// putProject writes a project and its categories and replaces existing ones.
func (s *rig) putProject(tb testing.TB, p *hub.Project) {
	tb.Helper()
	w := *p
	present, err := s.ReadProject(tb.Context(), p.ID)
	switch {
	case err == nil:
		w.Revision = present.Revision
	case !errors.Is(err, hub.ErrProjectNotFound):
		tb.Fatal(err)
	}
	if err := s.PutProject(tb.Context(), &w); err != nil {
		tb.Fatal(err)
	}
	for _, c := range p.Categories {
		if present != nil {
			c.Revision = present.Categories[c.Name].Revision
		}
		if err := s.PutCategory(tb.Context(), p.ID, c); err != nil {
			tb.Fatal(err)
		}
	}
}

// TestPreviousSecret reads a project before and after its previous secret ends, with and
// without a cache, and writes it then.
func TestPreviousSecret(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, cacheFor := range map[string]time.Duration{"cached": time.Hour, "not cached": -1} {
		t.Run(name, func(t *testing.T) {
			at := now
			s := storetest.New(t, store.Options{Now: func() time.Time { return at }, CacheFor: cacheFor})
			p := &hub.Project{ID: "p", Name: "n", Secret: "new", PreviousSecret: "old", PreviousUntil: now.Add(time.Minute).UTC()}
			if err := s.PutProject(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			read := func() []string {
				t.Helper()
				cached, err := s.Project(t.Context(), "p")
				if err != nil {
					t.Fatal(err)
				}
				present, err := s.ReadProject(t.Context(), "p")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(present, cached); diff != "" {
					t.Errorf("Project and ReadProject differ: %s", diff)
				}
				return append(cached.Secrets(), cached.PreviousUntil.Format(time.RFC3339))
			}
			same(t, "secrets at the beginning", read(), []string{"new", "old", p.PreviousUntil.Format(time.RFC3339)})
			at = now.Add(time.Minute - 1)
			same(t, "secrets before the end", read(), []string{"new", "old", p.PreviousUntil.Format(time.RFC3339)})
			at = now.Add(time.Minute)
			same(t, "secrets at the end", read(), []string{"new", time.Time{}.Format(time.RFC3339)})

			ended, err := s.ReadProject(t.Context(), "p")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.PutProject(t.Context(), ended); err != nil {
				t.Fatal(err)
			}
			at = now // the next write has removed it
			same(t, "secrets after a write", read(), []string{"new", time.Time{}.Format(time.RFC3339)})
		})
	}
}

// TestItems checks that the attributes of a project and of a category are those of
// existing tables.
func TestItems(t *testing.T) {
	list := func(s ...string) types.AttributeValue {
		l := &types.AttributeValueMemberL{}
		for _, v := range s {
			l.Value = append(l.Value, str(v))
		}
		return l
	}
	labels := &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
		"h": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"name": str("backend"), "created": num(1800000000)}},
	}}
	on := &types.AttributeValueMemberBOOL{Value: true}
	s := newRig(t)
	s.putProject(t, &hub.Project{
		ID: "full", Name: "n", Secret: "s", PreviousSecret: "r", PreviousUntil: time.Unix(4_000_000_000, 0), APIKeyHashes: []string{"h"},
		APIKeyLabels: map[string]hub.APIKeyLabel{"h": {Name: "backend", Created: time.Unix(1_800_000_000, 0)}},
		Options: hub.ProjectOptions{
			ValidateURL: "v", AuthAttempts: 3, BackOffInterval: hub.Duration(1500 * time.Microsecond), BackOffMaxTimeout: hub.Duration(time.Second),
			AllowMD5: true, Origins: []string{"b", "a"}, WebhookURL: "w",
		},
		Categories: map[string]hub.Category{"c": {ID: "1", Name: "c", CategoryOptions: hub.CategoryOptions{
			Bidirectional: true, PublishToAdmins: true, Private: true, Presence: true, JoinLeave: true, CleanHTML: true,
			AllowedDomains: []string{"d"}, Hooks: true, Shards: 4, MaxMessageBytes: 1000, HistorySize: 10, HistoryTTL: hub.Duration(time.Minute),
			HistoryMetaTTL: hub.Duration(24 * time.Hour), Ordered: true, Linger: hub.Duration(50 * time.Millisecond),
		}}},
	})
	s.putProject(t, &hub.Project{ID: "bare", Name: "n", Secret: "s", Categories: map[string]hub.Category{"c": {ID: "1", Name: "c"}}})
	for id, want := range map[string][]record{
		"full": {
			{
				"name": str("n"), "secret": str("s"), "previous_secret": str("r"), "previous_secret_until": num(4000000000), "api_keys": list("h"), "api_key_labels": labels, "revision": num(1), "validate_url": str("v"), "auth_attempts": num(3),
				"back_off_interval": num(1500000), "back_off_max_timeout": num(1000000000), "allow_md5": on, "origins": list("b", "a"), "webhook_url": str("w"),
			},
			{
				"id": str("1"), "revision": num(1), "bidirectional": on, "publish_to_admins": on, "private": on, "presence": on, "join_leave": on, "clean_html": on,
				"allowed_domains": list("d"), "hooks": on, "shards": num(4), "max_message_bytes": num(1000),
				"history_size": num(10), "history_ttl": num(60_000_000_000), "history_meta_ttl": num(86_400_000_000_000), "ordered": on, "linger_ms": num(50_000_000),
			},
		},
		"bare": {
			{"name": str("n"), "secret": str("s"), "revision": num(1)},
			{"id": str("1"), "revision": num(1), "shards": num(0)},
		},
	} {
		out, err := s.Client.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &s.Table, KeyConditionExpression: aws.String("PK = :project"),
			ExpressionAttributeValues: record{":project": str("P#" + id)},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := out.Items
		for _, i := range got {
			delete(i, schema.PartitionKey)
			delete(i, schema.SortKey)
			delete(i, "incarnation") // is random
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{},
			types.AttributeValueMemberL{}, types.AttributeValueMemberM{}, types.AttributeValueMemberBOOL{})); diff != "" {
			t.Errorf("project %s, -expected +got:\n%s", id, diff)
		}
	}
}

func TestProject(t *testing.T) {
	full := &hub.Project{
		ID: "p#1", Name: "Prøject", Secret: "s", APIKeyHashes: []string{hashOf("one"), hashOf("two")},
		APIKeyLabels: map[string]hub.APIKeyLabel{hashOf("two"): {Name: "backend", Created: time.Unix(1_800_000_000, 0)}},
		Options: hub.ProjectOptions{
			ValidateURL: "https://v", AuthAttempts: 3, BackOffInterval: hub.Duration(1500 * time.Microsecond),
			BackOffMaxTimeout: hub.Duration(time.Second), AllowMD5: true, Origins: []string{"https://b", "https://a"},
		},
		Categories: map[string]hub.Category{
			"a#%\x00": {ID: "1", Name: "a#%\x00", CategoryOptions: hub.CategoryOptions{
				Bidirectional: true, PublishToAdmins: true, Private: true, Presence: true, Shards: 4, MaxMessageBytes: 1000,
			}},
			"-": {ID: "2", Name: "-"},
		},
	}
	bare := &hub.Project{ID: "p", Name: "n", Secret: "s", Categories: map[string]hub.Category{}}

	t.Run("write and read", func(t *testing.T) {
		s := newRig(t)
		for _, p := range []*hub.Project{full, bare} {
			s.putProject(t, p)
		}
		for _, want := range []*hub.Project{full, bare} {
			got, err := s.Project(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "project", withoutIncarnations(got), written(want, 1))
		}
	})

	t.Run("unknown project", func(t *testing.T) {
		s := newRig(t)
		if err := s.PutCategory(t.Context(), "orphan", hub.Category{Name: "c"}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"absent", "", "orphan", "\xff", strings.Repeat("x", 10_000)} {
			_, err := s.Project(t.Context(), id)
			fails(t, err, hub.ErrProjectNotFound)
		}
	})

	t.Run("second write keeps categories", func(t *testing.T) {
		s := newRig(t)
		s.putProject(t, full)
		s.putProject(t, &hub.Project{ID: full.ID, Name: "new", Secret: "s2"})
		got, err := s.Project(t.Context(), full.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "project", withoutIncarnations(got), written(&hub.Project{ID: full.ID, Name: "new", Secret: "s2", Categories: full.Categories}, 2))
	})

	t.Run("delete", func(t *testing.T) {
		s := newRig(t)
		s.putProject(t, full)
		s.putProject(t, bare)
		for range 2 {
			if err := s.DeleteProject(t.Context(), full.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Project(t.Context(), full.ID)
		fails(t, err, hub.ErrProjectNotFound)
		_, err = auth.ProjectByAPIKey(t.Context(), s, "one")
		fails(t, err, hub.ErrUnauthorized)
		s.putProject(t, &hub.Project{ID: full.ID, Name: "n", Secret: "s"})
		got, err := s.Project(t.Context(), full.ID)
		if err != nil || len(got.Categories) > 0 {
			t.Errorf("categories %v, %v", got, err)
		}
		if _, err := s.Project(t.Context(), bare.ID); err != nil {
			t.Error(err)
		}
	})

	t.Run("more than one page of categories", func(t *testing.T) {
		s := newRig(t)
		s.putProject(t, bare)
		// The store does not limit ids, so a few categories make a megabyte.
		for i := range 9 {
			if err := s.PutCategory(t.Context(), "p", hub.Category{ID: strings.Repeat("i", 200_000), Name: strconv.Itoa(i)}); err != nil {
				t.Fatal(err)
			}
		}
		s.Requests.Sent()
		got, err := s.Project(t.Context(), "p")
		if err != nil || len(got.Categories) != 9 {
			t.Errorf("%d categories, %v", len(got.Categories), err)
		}
		if requests := s.Requests.Sent(); requests == "1 Query" {
			t.Error("one page: the test needs more data")
		}
	})
}

func TestProjectCache(t *testing.T) {
	ctx := context.Background()
	s := newRig(t)
	s.putProject(t, &hub.Project{ID: "p", Name: "old", Secret: "s", APIKeyHashes: []string{hashOf("k")}})
	name := func(st *store.Store, id string) string {
		p, err := st.Project(ctx, id)
		if err != nil {
			return err.Error()
		}
		return p.Name
	}

	t.Run("CacheFor", func(t *testing.T) {
		st := s.Another(store.Options{CacheFor: time.Minute})
		s.Requests.Sent()
		for range 3 {
			name(st, "p")
		}
		same(t, "requests", s.Requests.Sent(), "1 Query")
		s.Clock.Advance(time.Minute)
		name(st, "p")
		same(t, "requests", s.Requests.Sent(), "1 Query")
	})

	t.Run("default CacheFor", func(t *testing.T) {
		st := s.Another(store.Options{})
		name(st, "p")
		s.Clock.Advance(5*time.Second - 1)
		s.Requests.Sent()
		name(st, "p")
		same(t, "requests", s.Requests.Sent(), "")
		s.Clock.Advance(1)
		name(st, "p")
		same(t, "requests", s.Requests.Sent(), "1 Query")
	})

	t.Run("own writes", func(t *testing.T) {
		st := s.Another(store.Options{})
		name(st, "p")
		if err := st.PutProject(ctx, &hub.Project{ID: "p", Name: "new", Secret: "s", APIKeyHashes: []string{hashOf("k")}, Revision: 1}); err != nil {
			t.Fatal(err)
		}
		same(t, "name", name(st, "p"), "new")
		if err := st.PutCategory(ctx, "p", hub.Category{Name: "c"}); err != nil {
			t.Fatal(err)
		}
		if p, err := st.Project(ctx, "p"); err != nil || len(p.Categories) != 1 {
			t.Errorf("project %+v, %v", p, err)
		}
		if err := st.DeleteCategory(ctx, "p", "c"); err != nil {
			t.Fatal(err)
		}
		if p, err := st.Project(ctx, "p"); err != nil || len(p.Categories) != 0 {
			t.Errorf("project %+v, %v", p, err)
		}
	})

	t.Run("unknown project", func(t *testing.T) {
		st := s.Another(store.Options{})
		same(t, "name", name(st, "later"), hub.ErrProjectNotFound.Error())
		s.putProject(t, &hub.Project{ID: "later", Name: "now", Secret: "s"})
		same(t, "name", name(st, "later"), "now")
	})
}

func TestAPIKey(t *testing.T) {
	s := newRig(t)
	p := &hub.Project{ID: "p", Name: "n", Secret: "s", APIKeyHashes: []string{hashOf("one"), hashOf("two")}}
	s.putProject(t, p)

	t.Run("keys of a project and unknown keys", func(t *testing.T) {
		for _, k := range []string{"one", "two"} {
			if got, err := auth.ProjectByAPIKey(t.Context(), s, k); err != nil || got.ID != "p" {
				t.Errorf("key %q: %+v, %v", k, got, err)
			}
		}
		for _, k := range []string{"", "three", hashOf("one"), strings.Repeat("x", 1<<20)} {
			_, err := auth.ProjectByAPIKey(t.Context(), s, k)
			fails(t, err, hub.ErrUnauthorized)
		}
	})

	t.Run("key of another project", func(t *testing.T) {
		err := s.PutProject(t.Context(), &hub.Project{ID: "q", Name: "n", Secret: "s", APIKeyHashes: []string{hashOf("one")}})
		fails(t, err, hub.ErrBadRequest)
	})

	t.Run("key item that the project does not list", func(t *testing.T) {
		// A write that fails at its condition has written the items of the keys.
		fails(t, s.PutProject(t.Context(), &hub.Project{ID: "p", Name: "n", Secret: "s", APIKeyHashes: []string{hashOf("unlisted")}, Revision: 9}), hub.ErrConflict)
		fails(t, s.PutProject(t.Context(), &hub.Project{ID: "absent", Name: "n", Secret: "s", APIKeyHashes: []string{hashOf("orphan")}, Revision: 9}), hub.ErrConflict)
		for _, k := range []string{"unlisted", "orphan"} {
			_, err := auth.ProjectByAPIKey(t.Context(), s, k)
			fails(t, err, hub.ErrUnauthorized)
		}
	})

	t.Run("revoked key", func(t *testing.T) {
		p.APIKeyHashes = []string{hashOf("two"), hashOf("three")}
		s.putProject(t, p)
		_, err := auth.ProjectByAPIKey(t.Context(), s, "one")
		fails(t, err, hub.ErrUnauthorized)
		s.putProject(t, &hub.Project{ID: "q", Name: "n", Secret: "s", APIKeyHashes: []string{hashOf("one")}})
		for k, id := range map[string]string{"one": "q", "two": "p", "three": "p"} {
			if got, err := auth.ProjectByAPIKey(t.Context(), s, k); err != nil || got.ID != id {
				t.Errorf("key %q: %+v, %v", k, got, err)
			}
		}
	})

	t.Run("key in clear text", func(t *testing.T) {
		s.Requests.Intercept = func(_ string, r *http.Request) (*http.Response, error) {
			b := takeBody(t, r.Body)
			if strings.Contains(fmt.Sprint(b), "clear-text-key") {
				t.Error("the key was sent")
			}
			r.Body, r.ContentLength = body(t, b)
			return nil, nil
		}
		_, err := auth.ProjectByAPIKey(t.Context(), s, "clear-text-key")
		fails(t, err, hub.ErrUnauthorized)
	})
}

func TestPutCategoryShardsAndRevision(t *testing.T) {
	s := newRig(t)
	s.putProject(t, &hub.Project{ID: "p", Name: "n", Secret: "s"})
	revision := 0
	for _, step := range []struct {
		shards int
		fails  error
	}{{0, nil}, {1, nil}, {0, nil}, {3, nil}, {2, hub.ErrBadRequest}, {0, hub.ErrBadRequest}, {3, nil}, {64, nil}, {63, hub.ErrBadRequest}} {
		err := s.PutCategory(t.Context(), "p", hub.Category{Name: "c", Revision: revision, CategoryOptions: hub.CategoryOptions{Shards: step.shards}})
		fails(t, err, step.fails)
		if err == nil {
			revision++
		}
	}
	for _, stale := range []int{0, revision - 1, revision + 1} {
		fails(t, s.PutCategory(t.Context(), "p", hub.Category{Name: "c", Revision: stale, CategoryOptions: hub.CategoryOptions{Shards: 64}}), hub.ErrConflict)
	}
	fails(t, s.PutCategory(t.Context(), "p", hub.Category{Name: "deleted", Revision: 1}), hub.ErrConflict)
	p, err := s.Project(t.Context(), "p")
	if err != nil || p.Categories["c"].Shards != 64 {
		t.Errorf("project %+v, %v", p, err)
	}
	if err := s.PutCategory(t.Context(), "q", hub.Category{Name: "c"}); err != nil {
		t.Errorf("same name in another project: %v", err)
	}
	for range 2 {
		if err := s.DeleteCategory(t.Context(), "p", "c"); err != nil {
			t.Error(err)
		}
	}
}

// category reads a category of project p.
func (s *rig) category(tb testing.TB, name string) hub.Category {
	tb.Helper()
	p, err := s.ReadProject(tb.Context(), "p")
	if err != nil {
		tb.Fatal(err)
	}
	return p.Categories[name]
}

// putCategory writes a category of project p and returns it as it is read then.
func (s *rig) putCategory(tb testing.TB, c hub.Category) hub.Category {
	tb.Helper()
	if err := s.PutCategory(tb.Context(), "p", c); err != nil {
		tb.Fatal(err)
	}
	return s.category(tb, c.Name)
}

// TestCreateAfterDelete creates a category again whose deletion others may not have seen: a
// publisher that has the old one in its cache would reach nobody in the new one.
func TestCreateAfterDelete(t *testing.T) {
	s := storetest.New(t, store.Options{CountEvery: -1})
	if err := s.PutProject(t.Context(), &hub.Project{ID: "p", Name: "n", Secret: "s"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		s.PutCategory(t.Context(), "p", hub.Category{Name: "c"}),
		s.PutCategory(t.Context(), "p", hub.Category{Name: "other"}),
		s.DeleteCategory(t.Context(), "p", "c"),
	); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		after time.Duration // since the deletion
		wait  time.Duration
	}{
		{"at once", 0, 9 * time.Second},
		{"when caches have forgotten it, and clocks may differ", store.DefaultCacheFor, 4 * time.Second},
		{"later", store.DefaultCacheFor + 4*time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := s.Clock.Now().Add(tt.after)
			var waited time.Duration
			creator := s.Another(store.Options{Now: func() time.Time { return now }, Wait: func(_ context.Context, d time.Duration) error {
				waited = d
				return errors.New("waited")
			}})
			err := creator.PutCategory(t.Context(), "p", hub.Category{Name: "c"})
			if waited.Round(time.Second) != tt.wait || (err != nil) != (tt.wait > 0) {
				t.Errorf("waited %s, error %v", waited, err)
			}
		})
	}
}

func TestIncarnation(t *testing.T) {
	s := newRig(t)
	s.putProject(t, &hub.Project{ID: "p", Name: "n", Secret: "s"})
	created := s.putCategory(t, hub.Category{Name: "c", Incarnation: "00000000", FormerShards: 9, ShardsRaised: s.Clock.Now()})
	if len(created.Incarnation) != 8 || created.Incarnation == "00000000" {
		t.Errorf("incarnation %q of a new category", created.Incarnation)
	}
	same(t, "new category", created, hub.Category{Name: "c", Incarnation: created.Incarnation, Revision: 1})
	changed := s.putCategory(t, hub.Category{Name: "c", Revision: 1, CategoryOptions: hub.CategoryOptions{Presence: true}})
	same(t, "incarnation after a change", changed.Incarnation, created.Incarnation)
	if err := s.DeleteCategory(t.Context(), "p", "c"); err != nil {
		t.Fatal(err)
	}
	fails(t, s.PutCategory(t.Context(), "p", changed), hub.ErrConflict)
	again := s.putCategory(t, hub.Category{Name: "c"})
	if again.Incarnation == created.Incarnation || len(again.Incarnation) != 8 {
		t.Errorf("incarnation %q after %q", again.Incarnation, created.Incarnation)
	}

	t.Run("category without a name", func(t *testing.T) {
		c := s.putCategory(t, hub.Category{CategoryOptions: hub.CategoryOptions{Presence: true}})
		same(t, "read", s.category(t, ""), hub.Category{Incarnation: c.Incarnation, Revision: 1, CategoryOptions: hub.CategoryOptions{Presence: true}})
		if err := s.DeleteCategory(t.Context(), "p", ""); err != nil {
			t.Fatal(err)
		}
		if again := s.putCategory(t, hub.Category{}); again.Incarnation == c.Incarnation {
			t.Errorf("incarnation %q twice", c.Incarnation)
		}
	})

	t.Run("category of an earlier version", func(t *testing.T) {
		s.putRaw(t, "P#p", "C#old", record{"id": str("1"), "revision": num(3), "shards": num(2)})
		same(t, "read", s.category(t, "old"), hub.Category{ID: "1", Name: "old", Revision: 3, CategoryOptions: hub.CategoryOptions{Shards: 2}})
		raised := s.putCategory(t, hub.Category{ID: "1", Name: "old", Revision: 3, CategoryOptions: hub.CategoryOptions{Shards: 4}})
		same(t, "incarnation", raised.Incarnation, "")
		same(t, "former shards", raised.FormerShards, 2)
	})

	for name, between := range map[string]func(*testing.T) error{
		"changed while it is changed": func(t *testing.T) error {
			return s.PutCategory(t.Context(), "p", hub.Category{Name: "changed while it is changed", Revision: 1})
		},
		"deleted and created while it is changed": func(t *testing.T) error {
			if err := s.DeleteCategory(t.Context(), "p", "deleted and created while it is changed"); err != nil {
				return err
			}
			return s.PutCategory(t.Context(), "p", hub.Category{Name: "deleted and created while it is changed"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.putCategory(t, hub.Category{Name: name})
			var began atomic.Bool
			s.Requests.Intercept = func(op string, _ *http.Request) (*http.Response, error) {
				if op == "PutItem" && began.CompareAndSwap(false, true) {
					fails(t, between(t), nil)
				}
				return nil, nil
			}
			fails(t, s.PutCategory(t.Context(), "p", hub.Category{Name: name, Revision: 1, CategoryOptions: hub.CategoryOptions{Presence: true}}), hub.ErrConflict)
			s.Requests.Intercept = nil
			same(t, "presence", s.category(t, name).Presence, false)
		})
	}
}

// TestSubscribeShards checks over how many shards new subscribers are spread after a raise:
// over the former number until every publisher reads the new one.
func TestSubscribeShards(t *testing.T) {
	s := newRig(t)
	s.Clock.Advance(s.Clock.Now().Truncate(time.Second).Sub(s.Clock.Now()))
	s.putProject(t, &hub.Project{ID: "p", Name: "n", Secret: "s"})
	start := s.Clock.Now()
	c := s.putCategory(t, hub.Category{Name: "c", CategoryOptions: hub.CategoryOptions{Shards: 2}})
	for _, step := range []struct {
		name           string
		after          time.Duration
		shards         int
		presence       bool
		former, spread int
		raised         time.Duration
	}{
		{"created", 0, 2, false, 0, 2, 0},
		{"raised", time.Minute, 4, false, 2, 2, time.Minute + time.Second},
		{"raised again soon", time.Minute + 10*time.Second, 8, false, 2, 2, time.Minute + 11*time.Second},
		{"changed otherwise", time.Minute + 20*time.Second, 8, true, 2, 2, time.Minute + 11*time.Second},
		{"changed later", time.Minute + 26*time.Second, 8, false, 2, 8, time.Minute + 11*time.Second},
		{"raised later", time.Hour, 64, false, 8, 8, time.Hour + time.Second},
	} {
		s.Clock.Advance(start.Add(step.after).Sub(s.Clock.Now()))
		if step.name != "created" {
			c = s.putCategory(t, hub.Category{Name: "c", Revision: c.Revision, CategoryOptions: hub.CategoryOptions{Shards: step.shards, Presence: step.presence}})
		}
		same(t, step.name+": shards", c.ShardCount(), step.shards)
		same(t, step.name+": former shards", c.FormerShards, step.former)
		same(t, step.name+": shards of new subscribers", c.SubscribeShards(s.Clock.Now()), step.spread)
		if step.raised > 0 {
			same(t, step.name+": raised", c.ShardsRaised, start.Add(step.raised))
		}
	}
}

func TestCreateExistingTable(t *testing.T) {
	s := newRig(t)
	s.open(t, "c")
	if err := s.CreateTable(t.Context()); err != nil {
		t.Errorf("existing table: %v", err)
	}
	s.connection(t, "c")
}

// written is p as it is read after a number of writes.
func written(p *hub.Project, times int) *hub.Project {
	read := *p
	read.Revision, read.Categories = times, make(map[string]hub.Category)
	for name, c := range p.Categories {
		c.Revision = 1
		read.Categories[name] = c
	}
	return &read
}

// withoutIncarnations removes the incarnations, which are random.
func withoutIncarnations(p *hub.Project) *hub.Project {
	for name, c := range p.Categories {
		c.Incarnation = ""
		p.Categories[name] = c
	}
	return p
}
