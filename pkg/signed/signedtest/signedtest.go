// Package signedtest compares signed requests with those of the SDK, byte by byte. It knows no
// service, and is for tests only.
package signedtest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Request is a request as a server sees it, without headers that are not signed.
type Request struct {
	Method, URI, Host, Body string
	Length                  int64
	Header                  http.Header
}

// SignedAt is the time of the signature.
func (r Request) SignedAt(t testing.TB) time.Time {
	t.Helper()
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Server records the last request. It serves one client at a time.
type Server struct {
	URL  string
	last Request
}

// NewServer returns a Server that gives each request this answer, until the test ends.
func NewServer(t testing.TB, answer string) *Server {
	t.Helper()
	s := &Server{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header.Clone()
		h.Del("User-Agent")
		h.Del("Accept-Encoding")
		s.last = Request{r.Method, r.RequestURI, r.Host, string(body), r.ContentLength, h}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Take returns the last request and forgets it. It returns the zero Request where there was none.
func (s *Server) Take() Request {
	r := s.last
	s.last = Request{}
	return r
}

// WithoutRetryHeaders is an API option of the SDK. It removes the two headers about retries, one of
// them random, before a request is signed.
func WithoutRetryHeaders(s *middleware.Stack) error {
	return s.Finalize.Insert(middleware.FinalizeMiddlewareFunc("WithoutRetryHeaders",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			h := in.Request.(*smithyhttp.Request).Header
			h.Del("Amz-Sdk-Invocation-Id")
			h.Del("Amz-Sdk-Request")
			return next.HandleFinalize(ctx, in)
		}), "Signing", middleware.Before)
}
