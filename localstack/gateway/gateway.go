package gateway

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The limits of API Gateway and Lambda.
const (
	// MaxFrameBytes is the largest payload of one WebSocket frame, in either
	// direction. A client that sends a larger one is disconnected with 1009.
	MaxFrameBytes = 32 << 10
	// MaxMessageBytes is the largest WebSocket message, assembled of its frames, in
	// either direction. A client that sends a larger one is disconnected with 1009, a
	// post of a larger one is answered with 413.
	MaxMessageBytes = 128 << 10
	// MaxRequestBytes is the largest body of an HTTP API request; 413 beyond.
	MaxRequestBytes = 10 << 20
	// MaxInvocationBytes is the largest event and the largest response of a Lambda
	// function that is invoked synchronously. An HTTP request that makes a larger
	// event is answered with 413, a larger response is an integration failure.
	MaxInvocationBytes = 6 << 20
	// MaxURLBytes is the longest URL of a handshake; 414 beyond.
	MaxURLBytes = 4096

	// DefaultIdle, DefaultLifetime and DefaultIntegrationTimeout are AWS's values, none
	// of which AWS lets anybody raise.
	DefaultIdle               = 10 * time.Minute
	DefaultLifetime           = 2 * time.Hour
	DefaultIntegrationTimeout = 29 * time.Second
	// DefaultBuffer is the default of Options.Buffer. AWS does not publish its own.
	DefaultBuffer = 1 << 20
)

// Options describes an API. The zero value is a WebSocket API without routes: it
// accepts every connection and answers every message with "Forbidden".
type Options struct {
	// Stage is the stage of the WebSocket API and so the path of its sockets,
	// "dev" by default. The HTTP API is in the stage $default and has no prefix.
	Stage string
	// Routes are the WebSocket routes. "$connect", "$disconnect" and "$default" are
	// those of AWS; any other is invoked for messages whose member SelectBy is its
	// name. Without a $connect every client is let in.
	Routes map[string]Function
	// SelectBy is the member of a message that names its route: "method", the
	// default, stands for the route selection expression $request.body.method.
	SelectBy string
	// RouteResponses are the routes whose responses are sent to the client. Nil means
	// every route; $connect and $disconnect never have one.
	RouteResponses []string
	// HTTP are the routes of the HTTP API.
	HTTP []HTTPRoute

	// Idle is after how long without a message in either direction a connection is
	// closed, DefaultIdle if zero. Protocol-level pings do not count.
	Idle time.Duration
	// Lifetime is after how long a connection is closed in any case, DefaultLifetime
	// if zero.
	Lifetime time.Duration
	// IntegrationTimeout is how long a function may take, and the deadline of its
	// context; DefaultIntegrationTimeout if zero. A function that overstays runs on,
	// as a Lambda does, but nobody gets its response.
	IntegrationTimeout time.Duration
	// Buffer is how many bytes may wait for a client that reads slowly before posts
	// to it are answered with 429; DefaultBuffer if zero.
	Buffer int

	// Jitter makes each invocation and each post wait a random time below it, so
	// that frames and posts overtake each other as they do on AWS. Zero is none.
	Jitter time.Duration
	// Faults, if set, is asked before each post what is to go wrong with it. It is
	// called concurrently.
	Faults func(Post) Fault
	// LoseDisconnect, if set, is asked when a connection is over whether AWS is to
	// forget about $disconnect, which it promises only as best effort. It is called
	// concurrently.
	LoseDisconnect func(connectionID string) bool

	// APIID and AccountID are what events say, "local" and "000000000000" by default.
	APIID, AccountID string
	// Log gets the failures of functions; nil discards them. Bodies and headers are
	// never logged.
	Log *slog.Logger
}

// Gateway is an API that serves. All its methods are safe for concurrent use.
type Gateway struct {
	opts       Options
	log        *slog.Logger
	socketPath string
	postPath   string
	replies    map[string]bool
	patterns   []pattern

	mu      sync.RWMutex
	sockets map[string]*socket
	closed  bool
	// running counts handshakes, sockets, HTTP requests and the invocations that
	// they started.
	running sync.WaitGroup
}

// New returns a gateway that serves the API of opts:
//
//	GET /<stage> with Upgrade: websocket     a client connects
//	POST, GET, DELETE /<stage>/@connections/{id}  the management API
//	everything else                          the HTTP API
//
// It panics, as http.ServeMux does, when an HTTP route is malformed or exists
// twice, and when a route has no function.
func New(opts Options) *Gateway {
	setDefault(&opts.Stage, "dev")
	setDefault(&opts.SelectBy, "method")
	setDefault(&opts.Idle, DefaultIdle)
	setDefault(&opts.Lifetime, DefaultLifetime)
	setDefault(&opts.IntegrationTimeout, DefaultIntegrationTimeout)
	setDefault(&opts.Buffer, DefaultBuffer)
	setDefault(&opts.APIID, "local")
	setDefault(&opts.AccountID, "000000000000")
	setDefault(&opts.Log, slog.New(slog.DiscardHandler))

	g := &Gateway{
		opts:       opts,
		log:        opts.Log,
		socketPath: "/" + opts.Stage,
		postPath:   "/" + opts.Stage + "/@connections/",
		replies:    make(map[string]bool),
		patterns:   compile(opts.HTTP),
		sockets:    make(map[string]*socket),
	}
	for name, function := range opts.Routes {
		if function == nil {
			panic("gateway: route " + name + " has no function")
		}
		g.replies[name] = opts.RouteResponses == nil
	}
	for _, name := range opts.RouteResponses {
		g.replies[name] = true
	}
	return g
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// ServeHTTP serves the WebSocket API, the management API and the HTTP API.
// Sockets need a server that speaks HTTP/1.1 and lets connections be hijacked.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, g.postPath):
		g.serveManagement(w, r, path[len(g.postPath):])
	case path == g.socketPath && isUpgrade(r):
		g.serveSocket(w, r)
	default:
		g.serveAPI(w, r)
	}
}

// Connections returns how many clients are connected: posts to them are accepted.
func (g *Gateway) Connections() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.sockets)
}

// Close refuses new handshakes and HTTP requests with 503, closes all sockets with
// 1001 and waits until their $disconnect and all invocations under way have
// returned, also of functions that overstay their deadline. It may be called more
// than once; each call waits.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	open := make([]*socket, 0, len(g.sockets))
	for _, s := range g.sockets {
		open = append(open, s)
	}
	g.mu.Unlock()

	for _, s := range open {
		s.end(goingAway)
	}
	g.running.Wait()
}

// enter counts something that Close waits for, unless the gateway is closed. The
// caller calls running.Done.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.running.Add(1)
	return true
}

// register makes s known to posters, unless the gateway is closed.
func (g *Gateway) register(s *socket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.sockets[s.id] = s
	return true
}

func (g *Gateway) unregister(s *socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sockets, s.id)
}

// socket returns the connection with this id, or nil.
func (g *Gateway) socket(id string) *socket {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.sockets[id]
}
