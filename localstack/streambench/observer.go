package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The requests of a publish.
const (
	appendMessage   = "append"
	announce        = "announce"
	readSubscribers = "subscribers"
)

// observer is a proxy of DynamoDB that records when requests begin and end.
type observer struct {
	*httptest.Server
	proxy http.Handler

	mu       sync.Mutex
	requests []*request
	post     time.Time // the first
}

type request struct {
	name       string
	begin, end time.Time
}

func newObserver(database string) (*observer, error) {
	target, err := url.Parse(database)
	if err != nil {
		return nil, err
	}
	o := &observer{proxy: httputil.NewSingleHostReverseProxy(target)}
	o.Server = httptest.NewServer(http.HandlerFunc(o.observe))
	return o, nil
}

var partition = regexp.MustCompile(`"S":"([A-Z])#`)

func (o *observer) observe(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	q := &request{name: name(operation, body), begin: begin}
	o.mu.Lock()
	o.requests = append(o.requests, q)
	o.mu.Unlock()
	o.proxy.ServeHTTP(w, r)
	o.mu.Lock()
	q.end = time.Now()
	o.mu.Unlock()
}

// name is what a request does in a publish; of another one its operation and the kind of its
// item.
func name(operation string, body []byte) string {
	kind := ""
	if m := partition.FindSubmatch(body); m != nil {
		kind = string(m[1])
	}
	switch {
	case operation == "PutItem" && kind == "H":
		return appendMessage
	case operation == "UpdateItem" && kind == "H":
		return announce
	case operation == "Query" && kind == "S":
		return readSubscribers
	}
	return operation + " " + kind
}

func (o *observer) posted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.post.IsZero() {
		o.post = time.Now()
	}
}

func (o *observer) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests, o.post = nil, time.Time{}
}

// beforePost returns the requests that began before the first post, also as a sequence: "a, b + c".
func (o *observer) beforePost() (names []string, sequence string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	slices.SortFunc(o.requests, func(a, b *request) int { return a.begin.Compare(b.begin) })
	var until time.Time
	for _, q := range o.requests {
		if q.begin.After(o.post) {
			break
		}
		switch {
		case len(names) == 0:
			sequence = q.name
		case q.begin.Before(until):
			sequence += " + " + q.name
		default:
			sequence += ", " + q.name
		}
		names, until = append(names, q.name), q.end
	}
	return names, sequence
}

// same reports whether names are these, in any order.
func same(names []string, want ...string) bool {
	return slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(want)))
}
