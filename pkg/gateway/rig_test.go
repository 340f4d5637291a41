package gateway_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/credentials"
	diff "github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/centrifugo"
	"centrifuge/pkg/protocol/classic"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// rig is the routes of a WebSocket API over a real table and a real poster. It has the clock, and
// records in their order what clients get.
type rig struct {
	hub   *hub.Publisher
	store *storetest.Store
	// waiting, where set, is called for each wait of a command, after the clock has moved on.
	waiting func()
	// posting, where set, is called for each request to the management API, before it is answered.
	posting func(connection string)
	// application, where set, answers what the service asks it.
	application func(hub.ProxyRequest) (hub.ProxyResult, error)
	// failing, where set, decides which posts are answered with 500.
	failing func(connection string) bool
	routes  map[string]gateway.WebSocket

	mu  sync.Mutex
	now time.Time
	// got are the lines "c1 < frame" and "c1 closed" since the last take.
	got    []string
	closed map[string]bool
	// emitted are the types of the events that the hooks got, and "message".
	emitted []string
	// invoked are the channels for which a dispatcher was invoked.
	invoked []hub.Channel
	// key signs the tokens of a conversation.
	key string
}

// start is the time at which a rig begins.
var start = time.Unix(1_800_000_000, 0)

const (
	projectID = "p"
	secret    = "the-secret"
)

// categories are those of the project of a rig.
var categories = []hub.Category{
	{Name: "chat", CategoryOptions: hub.CategoryOptions{
		Bidirectional: true, Presence: true, JoinLeave: true, AllowPresenceForClient: true, AllowUserLimitedChannels: true, AllowSubscribeForAnonymous: true,
	}},
	{Name: "plain"},
	{Name: "closed", CategoryOptions: hub.CategoryOptions{Private: true}},
	{Name: "log", CategoryOptions: hub.CategoryOptions{
		Bidirectional: true, HistorySize: 10, HistoryTTL: hub.Duration(time.Hour), AllowHistoryForClient: true, AllowRecovery: true, AllowPositioning: true,
	}},
	{Name: "news", CategoryOptions: hub.CategoryOptions{HistorySize: 10, HistoryTTL: hub.Duration(time.Hour), ForceRecovery: true}},
	{Name: "shown", CategoryOptions: hub.CategoryOptions{PublishToAdmins: true}},
	{Name: "shownlog", CategoryOptions: hub.CategoryOptions{PublishToAdmins: true, HistorySize: 10, HistoryTTL: hub.Duration(time.Hour)}},
	{Name: ""},
}

// newRig returns a rig whose project has these options. The deployment has no default project.
func newRig(t testing.TB, o hub.ProjectOptions) *rig { return newRigIn(t, o, "") }

func newRigIn(t testing.TB, o hub.ProjectOptions, defaultProject string) *rig {
	t.Helper()
	r := &rig{key: secret, now: start, closed: make(map[string]bool)}
	wait := func(ctx context.Context, d time.Duration) error {
		r.advance(d)
		if r.waiting != nil {
			r.waiting()
		}
		return ctx.Err()
	}
	r.store = storetest.New(t, store.Options{Now: r.clock, CountEvery: -1, CacheFor: -1})
	if err := r.store.PutProject(t.Context(), &hub.Project{ID: projectID, Name: "P", Secret: secret, Options: o}); err != nil {
		t.Fatal(err)
	}
	for _, c := range categories {
		if err := r.store.PutCategory(t.Context(), projectID, c); err != nil {
			t.Fatal(err)
		}
	}
	management := httptest.NewServer(http.HandlerFunc(r.manage))
	t.Cleanup(management.Close)
	poster, err := delivery.NewPoster(delivery.PosterOptions{
		URL: management.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("a", "s", ""),
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(poster.Close)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	r.hub, err = hub.NewPublisher(hub.PublisherOptions{
		Options: hub.Options{
			Store: r.store, Callback: struct{ hub.Callback }{}, VerifyToken: auth.VerifyToken, DefaultProject: defaultProject, Proxies: r, Pings: true, Log: log, Now: r.clock, Wait: wait, Hooks: r,
			Tokens: auth.NewVerifier(auth.VerifierOptions{Fetch: func(context.Context, string) ([]byte, error) { panic("no project has a key set") }, Log: log}),
			Dispatcher: delivery.New(delivery.Options{
				Subscribers: r.store, Poster: poster, Log: log,
				Encoders: map[hub.Protocol]delivery.Encoder{hub.Classic: classic.Pushes, hub.Centrifugo: centrifugo.Pushes},
				Notices:  map[hub.Protocol]delivery.NoticeEncoder{hub.Centrifugo: centrifugo.Notice},
			}),
		},
		Clean:   func(data json.RawMessage, _ []string) (json.RawMessage, error) { return data, nil },
		Streams: delivery.NewLeased(delivery.LeasedOptions{Streams: r.store, Invoker: r, Log: log, Now: r.clock, Wait: untilEnd}),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := r.hub
	r.routes = map[string]gateway.WebSocket{
		"$connect": gateway.Connect(h.Hub, log), "$disconnect": gateway.Disconnect(h.Hub, log), "$default": gateway.Message(h, log),
		"auth": gateway.Auth(h.Hub, log), "subscribe": gateway.Subscribe(h.Hub, log), "unsubscribe": gateway.Unsubscribe(h.Hub, log), "broadcast": gateway.Broadcast(h, log),
	}
	return r
}

// Ask is a hub.Proxies.
func (r *rig) Ask(_ context.Context, _ *hub.Project, q hub.ProxyRequest) (hub.ProxyResult, error) {
	return r.application(q)
}

// untilEnd waits as the clock of a rig does between two commands: for ever.
func untilEnd(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// Invoke is a delivery.Invoker. drain makes the invocations.
func (r *rig) Invoke(_ context.Context, ch hub.Channel) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.invoked = append(r.invoked, ch)
	return nil
}

// Emit and Report are hub.Hooks.
func (r *rig) Emit(_ context.Context, messages ...hub.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range messages {
		r.emitted = append(r.emitted, "message")
	}
}

func (r *rig) Report(_ context.Context, events ...hub.HookEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		r.emitted = append(r.emitted, string(e.Type))
	}
}

// drain is the invocations of durable dispatchers since the last call.
func (r *rig) drain(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	invoked := r.invoked
	r.invoked = nil
	r.mu.Unlock()
	for i, ch := range invoked {
		if err := r.hub.DispatchStream(t.Context(), ch, fmt.Sprintf("request %d", i)); err != nil {
			t.Fatal(err)
		}
	}
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

// manage is the management API.
func (r *rig) manage(w http.ResponseWriter, q *http.Request) {
	connection := strings.TrimPrefix(q.URL.Path, "/@connections/")
	frame, err := io.ReadAll(q.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.posting != nil {
		r.posting(connection)
	}
	if q.Method == http.MethodPost && r.failing != nil && r.failing(connection) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed[connection]:
		w.WriteHeader(http.StatusGone)
	case q.Method == http.MethodDelete:
		r.closed[connection] = true
		r.got = append(r.got, connection+" closed")
		w.WriteHeader(http.StatusNoContent)
	default:
		r.got = append(r.got, connection+" < "+string(frame))
	}
}

// open opens a connection whose URL and Origin header are these, and returns the status.
func (r *rig) open(t testing.TB, connection, project, origin string) int {
	t.Helper()
	e := event("$connect", connection, "")
	e.RequestContext.EventType = "CONNECT"
	if project != "" {
		id, later, leaves := strings.Cut(project, "&origin=")
		e.QueryStringParameters = map[string]string{"project": id}
		if leaves {
			e.QueryStringParameters["origin"] = later
		}
	}
	if origin != "" {
		e.Headers = map[string]string{"Origin": origin}
	}
	response, err := r.routes["$connect"](t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

func event(route, connection, frame string) (e events.APIGatewayWebsocketProxyRequest) {
	e.RequestContext.EventType, e.RequestContext.RouteKey, e.RequestContext.ConnectionID, e.Body = "MESSAGE", route, connection, frame
	return e
}

// send sends a frame, received now, to the route that API Gateway selects. The response is what
// the client gets.
func (r *rig) send(t testing.TB, connection, frame string) {
	t.Helper()
	r.sendAt(t, connection, frame, r.clock())
}

func (r *rig) sendAt(t testing.TB, connection, frame string, received time.Time) {
	t.Helper()
	var selected struct{ Method string }
	_ = json.Unmarshal([]byte(frame), &selected)
	handle, ok := r.routes[selected.Method]
	if !ok {
		selected.Method, handle = "$default", r.routes["$default"]
	}
	e := event(selected.Method, connection, frame)
	e.RequestContext.RequestTimeEpoch = received.UnixMilli()
	response, err := handle(t.Context(), e)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("status %d, error %v", response.StatusCode, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if response.Body != "" && !r.closed[connection] {
		r.got = append(r.got, connection+" < "+response.Body)
	}
}

// ping handles an event of the function that sends pings, at the minute of the clock.
func (r *rig) ping(t testing.TB, detailType, detail string) {
	t.Helper()
	var handle gateway.EventBridge
	handle = gateway.Ping(r.hub.Hub, func(ctx context.Context, event []byte) error {
		var e events.EventBridgeEvent
		if err := json.Unmarshal(event, &e); err != nil {
			return err
		}
		return handle(ctx, e)
	}, slog.New(slog.DiscardHandler))
	e := events.EventBridgeEvent{Source: "aws.events", DetailType: detailType, Time: r.clock().Truncate(time.Minute), Detail: json.RawMessage(detail)}
	if err := handle(t.Context(), e); err != nil {
		t.Error(err)
	}
}

// random matches what is drawn.
var random = regexp.MustCompile(`"(?:(?:epoch|event_id)":"[^"]+|id":"[0-9a-f]{24})"`)

// take returns what clients got since the last call: each connection in its order, and the line
// feeds of frames as "\n". What is drawn is E.
func (r *rig) take() (got []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, r.got = r.got, nil
	slices.SortStableFunc(got, func(a, b string) int {
		one, _, _ := strings.Cut(a, " ")
		other, _, _ := strings.Cut(b, " ")
		return cmp.Compare(one, other)
	})
	for i := range got {
		got[i] = random.ReplaceAllStringFunc(strings.ReplaceAll(got[i], "\n", `\n`), func(member string) string {
			name, _, _ := strings.Cut(member, ":")
			return name + `:"E"`
		})
	}
	return got
}

var tokens = regexp.MustCompile(`JWT(\{.*?\})"`)

// signed replaces JWT{claims} in a frame by the token.
func signed(t testing.TB, key, frame string) string {
	t.Helper()
	return tokens.ReplaceAllStringFunc(frame, func(text string) string {
		var claims map[string]any
		if err := json.Unmarshal([]byte(tokens.FindStringSubmatch(text)[1]), &claims); err != nil {
			t.Fatal(err)
		}
		token, err := auth.SignJWT(key, claims)
		if err != nil {
			t.Fatal(err)
		}
		return token + `"`
	})
}

// requests are what an application does in a conversation, by the word after "app".
var requests = map[string]func(ctx context.Context, r *rig, p *hub.Project, args []string) error{
	"publish": func(ctx context.Context, r *rig, p *hub.Project, args []string) error {
		ch, err := hub.ParseChannel("", args[0])
		if err == nil {
			_, err = r.hub.Publish(ctx, p, ch, json.RawMessage(args[1]), hub.PublishOptions{})
		}
		return err
	},
	"disconnect": func(ctx context.Context, r *rig, p *hub.Project, args []string) error {
		return r.hub.DisconnectUser(ctx, p, args[0], hub.DisconnectRequest{})
	},
	"subscribe": func(ctx context.Context, r *rig, p *hub.Project, args []string) error {
		ch, err := hub.ParseChannel("", args[1])
		if err == nil {
			err = r.hub.SubscribeUser(ctx, p, args[0], hub.SubscribeRequest{Channel: ch})
		}
		return err
	},
	"unsubscribe": func(ctx context.Context, r *rig, p *hub.Project, args []string) error {
		ch, err := hub.ParseChannel("", args[1])
		if err != nil {
			return err
		}
		return r.hub.UnsubscribeUser(ctx, p, args[0], hub.UnsubscribeRequest{From: hub.Selection{ch.Category: {ch.Name}}})
	},
	// rotate replaces the secret of the project.
	"rotate": func(ctx context.Context, r *rig, p *hub.Project, args []string) error {
		p.Secret = args[0]
		return r.store.PutProject(ctx, p)
	},
	// secure makes the project secure.
	"secure": func(ctx context.Context, r *rig, p *hub.Project, _ []string) error {
		p.Options.Insecure = false
		return r.store.PutProject(ctx, p)
	},
	// close makes a category private.
	"close": func(ctx context.Context, r *rig, p *hub.Project, args []string) error {
		c := p.Categories[args[0]]
		c.Private = true
		return r.store.PutCategory(ctx, projectID, c)
	},
	"delete": func(ctx context.Context, r *rig, _ *hub.Project, args []string) error {
		return r.store.DeleteCategory(ctx, projectID, args[0])
	},
}

// converse plays a conversation: a line a step, followed by the lines that clients get then.
//
//	open c1 ?p origin  c1 opens a connection with this query and Origin header, both optional
//	c1 > frame         c1 sends a frame; \n is a line feed in it, JWT{claims} the token with them
//	app publish c:x 1  a request of the application
//	later 1m           the time passes
//	pings              the schedule invokes the function that sends pings
//	c1 < frame         c1 gets a frame
//	c1 closed          the connection of c1 is closed by the service
func (r *rig) converse(t testing.TB, script string) {
	t.Helper()
	var want []string
	step := "nothing"
	check := func() {
		t.Helper()
		if d := diff.Diff(want, r.take()); d != "" {
			t.Fatalf("after %s (-expected +got):\n%s", step, d)
		}
		want = nil
	}
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		words := strings.Fields(line)
		if len(words) > 1 && (words[1] == "<" || words[1] == "closed" || words[1] == "status") {
			want = append(want, line)
			continue
		}
		check()
		step = line
		r.play(t, line)
	}
	check()
}

// play plays one step.
func (r *rig) play(t testing.TB, step string) {
	t.Helper()
	words := strings.Fields(step)
	switch words[0] {
	case "open":
		project, origin := "", ""
		for _, word := range words[2:] {
			if strings.HasPrefix(word, "?") {
				project = word[1:]
			} else {
				origin = word
			}
		}
		if status := r.open(t, words[1], project, origin); status != http.StatusOK {
			r.got = append(r.got, fmt.Sprintf("%s status %d", words[1], status))
		}
	case "later":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		r.advance(d)
	case "pings":
		r.ping(t, "Scheduled Event", "{}")
	case "app":
		p, err := r.store.ReadProject(t.Context(), projectID)
		if err == nil {
			err = requests[words[1]](t.Context(), r, p, words[2:])
		}
		if err != nil {
			t.Fatal(err)
		}
		if words[1] == "rotate" {
			r.key = words[2]
		}
	default:
		connection, frame, _ := strings.Cut(step, " > ")
		r.send(t, connection, signed(t, r.key, strings.ReplaceAll(frame, `\n`, "\n")))
	}
}
