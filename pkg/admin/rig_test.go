package admin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"centrifuge/pkg/admin"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/sanitizer"
	"centrifuge/pkg/serverapi"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// drawnByStore are the fields of categories and projects that no form sets.
var drawnByStore = cmp.Options{
	cmpopts.IgnoreFields(hub.Category{}, "Incarnation", "FormerShards", "ShardsRaised"),
	cmpopts.IgnoreFields(hub.Project{}, "Creation"),
}

const (
	password = "rather long, and generated"
	// passwordHash is its hash, which costs less than a real one.
	passwordHash = "$argon2id-sha256$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNhbA$RsAh7H+ySm206CVmFMivu55scBp9vRUGnOFRFRJj/Qw"

	projectID = "65a000000000000000000001"
	socketURL = "wss://socket.example:8443/stage"
)

// rig is the interface over a real table, behind a real server, with the browser of an
// administrator and a clock that the test sets.
type rig struct {
	t *testing.T
	*parts
}

// in is the same rig in a subtest.
func (r *rig) in(t *testing.T) *rig { return &rig{t, r.parts} }

type parts struct {
	store   *store.Store
	hub     *hub.Publisher
	handler http.Handler
	server  *httptest.Server
	browser *http.Client
	log     *safeBuffer

	mu  sync.Mutex
	now time.Time
	// secrets must not be in the log.
	secrets []string
	// delivered is what was published, without the feed.
	delivered []hub.Message
}

// safeBuffer is a buffer for concurrent writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// sdk stands for the browser build of npm centrifuge.
const sdk = "globalThis.Centrifuge = class {};\n"

// newRig has one project, "Shop & Co", with three categories, and no session. When the
// test ends, it searches the log for secrets.
func newRig(t *testing.T, change ...func(*admin.Options)) *rig {
	t.Helper()
	r := &rig{t, &parts{now: time.Unix(1_800_000_000, 0), log: &safeBuffer{}}}
	r.store = storetest.New(t, store.Options{Now: r.clock, CacheFor: -1, CountEvery: -1}).Store
	r.setPasswordHash(passwordHash)
	r.put(&hub.Project{
		ID: projectID, Name: "Shop & Co", Secret: auth.NewSecret(), APIKeyHashes: []string{auth.HashAPIKey("a key")},
		Options: hub.ProjectOptions{ValidateURL: "https://shop.example/validate", AuthAttempts: 3, Origins: []string{"https://shop.example", "https://www.shop.example"}},
		Categories: map[string]hub.Category{
			"chat":   {ID: "1", Name: "chat", CategoryOptions: hub.CategoryOptions{Bidirectional: true, Presence: true, PublishToAdmins: true}},
			"news":   {ID: "2", Name: "news", CategoryOptions: hub.CategoryOptions{CleanHTML: true, AllowedDomains: []string{"example.com", "example.org"}, Shards: 4}},
			`a/b "?`: {ID: "3", Name: `a/b "?`},
		},
	})
	var err error
	if r.hub, err = hub.NewPublisher(hub.PublisherOptions{Options: hub.Options{
		Store: r.store, Dispatcher: r, Callback: callback.New(callback.Options{}), VerifyToken: auth.VerifyToken, Pings: true, Now: r.clock,
	}, Clean: sanitizer.Clean, Streams: delivery.NewLeased(delivery.LeasedOptions{Streams: r.store, Invoker: r, Now: r.clock})}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mux := http.NewServeMux()
	r.server = httptest.NewServer(mux)
	t.Cleanup(r.server.Close)
	o := admin.Options{
		Hub: r.hub.Hub, Store: r.store, Attempts: r.store.Tally, Password: r.store.AdminPassword,
		Call: func(ctx context.Context, p *hub.Project, method string, body []byte) (int, []byte) {
			return serverapi.Call(ctx, r.hub, log, p, method, body)
		},
		WebSocketURL: socketURL, HTTPURL: r.server.URL, SDK: []byte(sdk), Log: log, Now: r.clock,
	}
	for _, c := range change {
		c(&o)
	}
	r.handler = admin.New(o)
	mux.Handle("/admin", r.handler)
	mux.Handle("/admin/", r.handler)
	r.browser = r.newBrowser()
	r.secrets = append(r.secrets, password)
	t.Cleanup(r.searchLog)
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// Dispatch records messages instead of sending them.
func (r *rig) Dispatch(_ context.Context, to hub.Audience, messages []hub.Message) (hub.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to.Channel != hub.Feed(to.Channel.Project) {
		r.delivered = append(r.delivered, messages...)
	}
	return hub.Result{}, nil
}

func (r *rig) Check(hub.Message) error { return nil }

// Invoke fails: no publish of a test hands its stream over.
func (r *rig) Invoke(context.Context, hub.Channel) error { return errors.ErrUnsupported }

// Disconnect closes connections, of which there are none.
func (r *rig) Disconnect(context.Context, []string) ([]string, error) { return nil, nil }

// Notify notifies connections, of which there are none.
func (r *rig) Notify(context.Context, []hub.Notice) ([]string, error) { return nil, nil }

// Ping sends pings to connections, of which there are none.
func (r *rig) Ping(context.Context, hub.Protocol, []string) (hub.Result, error) {
	return hub.Result{}, nil
}

// Reply replies to a connection, of which there are none.
func (r *rig) Reply(context.Context, string, [][]byte) error { return nil }

// newBrowser keeps cookies and does not follow redirects.
func (r *rig) newBrowser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// setPasswordHash stores the hash of the admin password.
func (r *rig) setPasswordHash(hash string) {
	r.t.Helper()
	r.secrets = append(r.secrets, hash)
	if err := r.store.PutAdminPassword(r.t.Context(), hash); err != nil {
		r.t.Fatal(err)
	}
}

// put writes a project with its categories.
func (r *rig) put(p *hub.Project) {
	r.t.Helper()
	r.secrets = append(r.secrets, p.Secret)
	if err := r.store.PutProject(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
	for _, c := range p.Categories {
		if err := r.store.PutCategory(r.t.Context(), p.ID, c); err != nil {
			r.t.Fatal(err)
		}
	}
}

// project reads a project from the table, without revisions.
func (r *rig) project(id string) *hub.Project {
	r.t.Helper()
	p, err := r.store.ReadProject(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	r.secrets = append(r.secrets, p.Secret)
	p.Revision = 0
	for name, c := range p.Categories {
		c.Revision = 0
		p.Categories[name] = c
	}
	return p
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *rig) do(request *http.Request) answer {
	r.t.Helper()
	response, err := r.browser.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(b)}
}

func (r *rig) request(method, path, contentType, body string) *http.Request {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return request
}

func (r *rig) get(path string) answer {
	r.t.Helper()
	return r.do(r.request(http.MethodGet, path, "", ""))
}

// post sends a form of names and values, as a page of the site does.
func (r *rig) post(path string, pairs ...string) answer {
	r.t.Helper()
	form := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	request := r.request(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode())
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	return r.do(request)
}

// call calls the JSON API, as a tool does. Without a body it sends no Content-Type.
func (r *rig) call(method, path, body string) answer {
	r.t.Helper()
	contentType := "application/json"
	if body == "" {
		contentType = ""
	}
	return r.do(r.request(method, "/admin/api"+path, contentType, body))
}

// signIn starts a session in the browser.
func (r *rig) signIn() *rig {
	r.t.Helper()
	r.redirects(r.post("/admin/sign-in", "password", password), "/admin")
	return r
}

func (r *rig) is(got answer, status int) answer {
	r.t.Helper()
	if got.status != status {
		r.t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	return got
}

func (r *rig) redirects(got answer, to string) {
	r.t.Helper()
	if got.status != http.StatusSeeOther || got.header.Get("Location") != to {
		r.t.Fatalf("status %d to %q, want 303 to %q: %s", got.status, got.header.Get("Location"), to, got.body)
	}
}

// shows checks that a page has these texts, ignoring white space.
func (r *rig) shows(got answer, status int, texts ...string) {
	r.t.Helper()
	r.is(got, status)
	read := parse(r.t, got.body).text()
	dense := func(text string) string { return strings.Join(strings.Fields(text), "") }
	for _, text := range texts {
		if !strings.Contains(dense(read), dense(text)) {
			r.t.Errorf("the page does not show %q: %s", text, read)
		}
	}
}

// says checks the exact JSON of a response.
func (r *rig) says(got answer, status int, body string) {
	r.t.Helper()
	r.is(got, status)
	if kind := got.header.Get("Content-Type"); kind != "application/json" {
		r.t.Errorf("Content-Type is %s", kind)
	}
	if diff := cmp.Diff(body, strings.TrimSuffix(got.body, "\n")); diff != "" {
		r.t.Errorf("-want +got\n%s", diff)
	}
}

// searchLog fails the test where the log has a secret or an internal failure.
func (r *rig) searchLog() {
	log := r.log.String()
	for _, secret := range r.secrets {
		if secret != "" && strings.Contains(log, secret) {
			r.t.Errorf("a secret is in the log: %s", log)
		}
	}
	if regexp.MustCompile(`"level":"ERROR"`).MatchString(log) && !strings.Contains(r.t.Name(), "Fail") {
		r.t.Errorf("a request failed: %s", log)
	}
}
