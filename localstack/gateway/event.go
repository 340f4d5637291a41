package gateway

import (
	"net"
	"net/http"
	"strings"
	"time"
)

// timeLayout is the format of request times: the one of Apache's access log.
const timeLayout = "02/Jan/2006:15:04:05 -0700"

// socketEvent is the event of a WebSocket route. Its JSON has the keys of the event
// of AWS, and omits those that AWS omits.
type socketEvent struct {
	Headers         map[string]string   `json:"headers,omitempty"`
	MultiHeaders    map[string][]string `json:"multiValueHeaders,omitempty"`
	Query           map[string]string   `json:"queryStringParameters,omitempty"`
	MultiQuery      map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	RequestContext  socketContext       `json:"requestContext"`
	Body            *string             `json:"body,omitempty"`
	IsBase64Encoded bool                `json:"isBase64Encoded"`
}

type socketContext struct {
	RouteKey             string   `json:"routeKey"`
	MessageID            string   `json:"messageId,omitempty"`
	DisconnectStatusCode int      `json:"disconnectStatusCode,omitempty"`
	EventType            string   `json:"eventType"`
	ExtendedRequestID    string   `json:"extendedRequestId"`
	RequestTime          string   `json:"requestTime"`
	MessageDirection     string   `json:"messageDirection"`
	DisconnectReason     *string  `json:"disconnectReason,omitempty"`
	Stage                string   `json:"stage"`
	ConnectedAt          int64    `json:"connectedAt"`
	RequestTimeEpoch     int64    `json:"requestTimeEpoch"`
	Identity             identity `json:"identity"`
	RequestID            string   `json:"requestId"`
	DomainName           string   `json:"domainName"`
	ConnectionID         string   `json:"connectionId"`
	APIID                string   `json:"apiId"`
}

type identity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// peer describes the client of a request and the address that it used.
type peer struct {
	identity
	domain string // the Host header
	port   string
	scheme string
}

func peerOf(r *http.Request) peer {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	p := peer{identity: identity{UserAgent: r.UserAgent(), SourceIP: ip}, domain: r.Host, port: "80", scheme: "http"}
	if r.TLS != nil {
		p.port, p.scheme = "443", "https"
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		p.port = port
	}
	return p
}

func (g *Gateway) socketEvent(s *socket, eventType, route string, now time.Time) *socketEvent {
	id := newID()
	return &socketEvent{RequestContext: socketContext{
		RouteKey:          route,
		EventType:         eventType,
		ExtendedRequestID: id,
		RequestTime:       now.UTC().Format(timeLayout),
		MessageDirection:  "IN",
		Stage:             g.opts.Stage,
		ConnectedAt:       s.connectedAt.UnixMilli(),
		RequestTimeEpoch:  now.UnixMilli(),
		Identity:          s.peer.identity,
		RequestID:         id,
		DomainName:        s.peer.domain,
		ConnectionID:      s.id,
		APIID:             g.opts.APIID,
	}}
}

// connectEvent builds the event of $connect. Of all WebSocket events, only this one
// has the headers and the query of the handshake.
func (g *Gateway) connectEvent(s *socket, r *http.Request) *socketEvent {
	event := g.socketEvent(s, "CONNECT", "$connect", time.Now())
	event.Headers = make(map[string]string)
	event.MultiHeaders = make(map[string][]string)
	set := func(name string, values ...string) {
		event.Headers[name] = values[len(values)-1]
		event.MultiHeaders[name] = values
	}
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade":
		default:
			// Go writes Sec-Websocket-Key; clients and AWS write Sec-WebSocket-Key.
			set(strings.Replace(name, "Sec-Websocket-", "Sec-WebSocket-", 1), values...)
		}
	}
	set("Host", r.Host)
	set("X-Amzn-Trace-Id", newTrace(time.Now()))
	set("X-Forwarded-For", forwardedFor(r, s.peer))
	set("X-Forwarded-Port", s.peer.port)
	set("X-Forwarded-Proto", s.peer.scheme)
	if query := r.URL.Query(); len(query) > 0 {
		event.Query = make(map[string]string, len(query))
		event.MultiQuery = query
		for name, values := range query {
			event.Query[name] = values[len(values)-1]
		}
	}
	return event
}

func (g *Gateway) messageEvent(s *socket, route string, body []byte, received time.Time) *socketEvent {
	event := g.socketEvent(s, "MESSAGE", route, received)
	event.RequestContext.MessageID = newID()
	text := string(body)
	event.Body = &text
	return event
}

func (g *Gateway) disconnectEvent(s *socket) *socketEvent {
	event := g.socketEvent(s, "DISCONNECT", "$disconnect", time.Now())
	cause := s.queue.closeCause()
	event.RequestContext.DisconnectStatusCode = int(cause.code)
	event.RequestContext.DisconnectReason = &cause.reason
	// AWS sends these four headers, three of them empty.
	event.Headers = map[string]string{
		"Host": s.peer.domain, "X-Forwarded-For": "", "x-api-key": "", "x-restapi": "",
	}
	event.MultiHeaders = make(map[string][]string, len(event.Headers))
	for name, value := range event.Headers {
		event.MultiHeaders[name] = []string{value}
	}
	return event
}

// forwardedFor returns X-Forwarded-For with the address of the client appended.
func forwardedFor(r *http.Request, p peer) string {
	return strings.Join(append(r.Header.Values("X-Forwarded-For"), p.SourceIP), ", ")
}
