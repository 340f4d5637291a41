package gateway

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The limits of API Gateway and Lambda.
const (
	// MaxFrameBytes is the largest payload of one WebSocket frame, in either
	// direction. A client that sends a larger one is disconnected with 1009.
	MaxFrameBytes = 32 << 10
	// MaxMessageBytes is the largest WebSocket message, the sum of its frames, in
	// either direction. A client that sends a larger one is disconnected with 1009. A
	// post of a larger one is answered with 413.
	MaxMessageBytes = 128 << 10
	// MaxRequestBytes is the largest body of an HTTP API request; 413 beyond.
	MaxRequestBytes = 10 << 20
	// MaxInvocationBytes is the largest event and the largest response of a Lambda
	// function that is invoked synchronously. An HTTP request with a larger event is
	// answered with 413. A larger response is an integration failure.
	MaxInvocationBytes = 6 << 20
	// MaxURLBytes is the longest URL of a handshake; 414 beyond.
	MaxURLBytes = 4096

	// DefaultIdleTimeout, DefaultLifetime and DefaultIntegrationTimeout are the
	// quotas of AWS. They cannot be raised there.
	DefaultIdleTimeout        = 10 * time.Minute
	DefaultLifetime           = 2 * time.Hour
	DefaultIntegrationTimeout = 29 * time.Second
	// DefaultBuffer is the default of Options.Buffer. The value of AWS is not
	// documented.
	DefaultBuffer = 1 << 20
)

// Options describes an API. The zero value is a WebSocket API without routes: it
// accepts every connection and answers every message with "Forbidden".
type Options struct {
	// Stage is the stage of the WebSocket API and the path of its sockets; "dev" by
	// default. The HTTP API is in the stage $default and has no prefix.
	Stage string
	// Paths are further paths of its sockets, as a custom domain name can map.
	Paths []string
	// Routes are the WebSocket routes. "$connect", "$disconnect" and "$default" are
	// those of AWS. Any other route gets the messages whose member SelectBy is its
	// name. Without $connect every handshake is accepted.
	Routes map[string]Function
	// Mocks are the WebSocket routes with a mock integration: no function is invoked,
	// and the value is the message that the client gets. The route is one-way when it is
	// empty. $connect and $disconnect cannot be mocks here.
	Mocks map[string]string
	// SelectBy is the member of a message that names its route. "method", the
	// default, is the route selection expression $request.body.method.
	SelectBy string
	// RouteResponses are the routes whose responses are sent to the client. Nil means
	// every route but $connect and $disconnect, which never have one.
	RouteResponses []string
	// HTTP are the routes of the HTTP API.
	HTTP []HTTPRoute

	// IdleTimeout closes a connection after this time without a message of the client;
	// DefaultIdleTimeout if zero. Protocol-level pings do not count, and neither do
	// messages to the client: that these count on AWS is reported, not documented.
	IdleTimeout time.Duration
	// Lifetime is the longest life of a connection; DefaultLifetime if zero.
	Lifetime time.Duration
	// IntegrationTimeout is how long a function may take, and the deadline of its
	// context; DefaultIntegrationTimeout if zero. A function that takes longer
	// continues, but its response is discarded.
	IntegrationTimeout time.Duration
	// Buffer is the size in bytes of the send queue of a client. Posts to a client
	// with a full queue are answered with 429; DefaultBuffer if zero.
	Buffer int

	// Jitter delays each invocation and each post by a random time below it, so
	// that frames and posts overtake each other as they can on AWS. Zero means none.
	Jitter time.Duration
	// Faults, if set, returns the failure to inject into a post. It is called
	// concurrently.
	Faults func(Post) Fault
	// LoseDisconnect, if set, returns whether to skip $disconnect for a connection
	// that ended: on AWS it is best effort. It is called concurrently.
	LoseDisconnect func(connectionID string) bool

	// APIID and AccountID are the ids in events; "local" and "000000000000" by
	// default.
	APIID, AccountID string
	// Log gets the failures of functions; nil discards them. The gateway adds no bodies
	// and headers to it.
	Log *slog.Logger
}

// Gateway serves the APIs. All its methods are safe for concurrent use.
type Gateway struct {
	opts            Options
	log             *slog.Logger
	socketPath      string
	connectionsPath string
	routeResponses  map[string]bool
	patterns        []pattern

	mu      sync.RWMutex
	sockets map[string]*socket
	closed  bool
	// running counts handshakes, sockets, HTTP requests and invocations.
	running sync.WaitGroup
}

// New returns a gateway that serves the API of opts:
//
//	GET /<stage> with Upgrade: websocket          the WebSocket API
//	POST, GET, DELETE /<stage>/@connections/{id}  the management API
//	every other request                           the HTTP API
//
// It panics, like http.ServeMux, when an HTTP route is malformed or defined twice,
// when a route has no function, and when a route has a function and a mock.
func New(opts Options) *Gateway {
	setDefault(&opts.Stage, "dev")
	setDefault(&opts.SelectBy, "method")
	setDefault(&opts.IdleTimeout, DefaultIdleTimeout)
	setDefault(&opts.Lifetime, DefaultLifetime)
	setDefault(&opts.IntegrationTimeout, DefaultIntegrationTimeout)
	setDefault(&opts.Buffer, DefaultBuffer)
	setDefault(&opts.APIID, "local")
	setDefault(&opts.AccountID, "000000000000")
	setDefault(&opts.Log, slog.New(slog.DiscardHandler))

	g := &Gateway{
		opts:            opts,
		log:             opts.Log,
		socketPath:      "/" + opts.Stage,
		connectionsPath: "/" + opts.Stage + "/@connections/",
		routeResponses:  make(map[string]bool),
		patterns:        compile(opts.HTTP),
		sockets:         make(map[string]*socket),
	}
	for name, function := range opts.Routes {
		if function == nil {
			panic("gateway: route " + name + " has no function")
		}
		g.routeResponses[name] = opts.RouteResponses == nil
	}
	for name := range opts.Mocks {
		if _, twice := opts.Routes[name]; twice || name == "$connect" || name == "$disconnect" {
			panic("gateway: route " + name + " cannot have a mock integration")
		}
	}
	for _, name := range opts.RouteResponses {
		g.routeResponses[name] = true
	}
	return g
}

func setDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// ServeHTTP serves the WebSocket API, the management API and the HTTP API.
// Sockets need a server with HTTP/1.1 and http.Hijacker.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, g.connectionsPath):
		g.serveManagement(w, r, path[len(g.connectionsPath):])
	case isUpgrade(r) && (path == g.socketPath || slices.Contains(g.opts.Paths, path)):
		g.serveSocket(w, r)
	default:
		g.serveAPI(w, r)
	}
}

// Connections returns the number of connected clients.
func (g *Gateway) Connections() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.sockets)
}

// Close refuses new handshakes and HTTP requests with 503 and closes all sockets
// with 1001. It waits until every $disconnect and every running invocation has
// returned, also those past their deadline. It may be called more than once; each
// call waits.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	open := make([]*socket, 0, len(g.sockets))
	for _, s := range g.sockets {
		open = append(open, s)
	}
	g.mu.Unlock()

	for _, s := range open {
		s.close(goingAway)
	}
	g.running.Wait()
}

// startWork registers work that Close waits for. It returns false when the gateway
// is closed; otherwise the caller must call running.Done.
func (g *Gateway) startWork() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.running.Add(1)
	return true
}

// register makes s reachable for posts. It returns false when the gateway is
// closed.
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
