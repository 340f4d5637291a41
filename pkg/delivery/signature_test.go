package delivery

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/signed/signedtest"
)

// TestRequestsEqualSDK compares our requests with those of the SDK, byte by byte: same
// target, same signed headers, same signature.
func TestRequestsEqualSDK(t *testing.T) {
	srv := signedtest.NewServer(t, "")

	for _, stage := range []string{"/prod", "/prod/", "", "/$default", "/one/two"} {
		for _, token := range []string{"", testToken} {
			for _, id := range []string{"L0SM9cOFvHcCIhw=", "plain", "a+b/c==", "a b", "é:@!$&'()*,;~", "..", "100%25"} {
				for _, body := range []string{"", "hello", strings.Repeat("é", 60<<10)} {
					t.Run(stage+" "+token+" "+id+" "+body[:min(5, len(body))], func(t *testing.T) {
						provider := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", testSecret, token)
						sdk := api.New(api.Options{
							Region: "eu-west-1", BaseEndpoint: aws.String(srv.URL + stage), Credentials: provider,
							APIOptions: []func(*middleware.Stack) error{signedtest.WithoutRetryHeaders},
						})
						var err error
						if body == "" {
							_, err = sdk.DeleteConnection(t.Context(), &api.DeleteConnectionInput{ConnectionId: &id})
						} else {
							_, err = sdk.PostToConnection(t.Context(), &api.PostToConnectionInput{ConnectionId: &id, Data: []byte(body)})
						}
						if err != nil {
							t.Fatal(err)
						}
						want := srv.Take()

						p, err := NewPoster(PosterOptions{
							URL: srv.URL + stage, Region: "eu-west-1", Credentials: provider,
							Now: func() time.Time { return want.SignedAt(t) },
						})
						if err != nil {
							t.Fatal(err)
						}
						defer p.Close()
						for range 2 { // over a new connection and over a used one
							if body == "" {
								err = p.Delete(t.Context(), id)
							} else {
								err = p.Post(t.Context(), id, NewPayload([]byte(body)))
							}
							if err != nil {
								t.Fatal(err)
							}
							if diff := cmp.Diff(want, srv.Take()); diff != "" {
								t.Errorf("the SDK's request (-) and ours (+):\n%s", diff)
							}
						}
					})
				}
			}
		}
	}
}

// TestUnmodifiedSDK shows which headers TestRequestsEqualSDK removes.
func TestUnmodifiedSDK(t *testing.T) {
	var requests []*http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests = append(requests, r) }))
	t.Cleanup(srv.Close)
	provider := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", testSecret, testToken)
	sdk := api.New(api.Options{Region: "eu-west-1", BaseEndpoint: &srv.URL, Credentials: provider})
	id := "L0SM9cOFvHcCIhw="
	if _, err := sdk.PostToConnection(t.Context(), &api.PostToConnectionInput{ConnectionId: &id, Data: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	p, err := NewPoster(PosterOptions{URL: srv.URL, Region: "eu-west-1", Credentials: provider})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if err := p.Post(t.Context(), id, NewPayload([]byte("hello"))); err != nil {
		t.Fatal(err)
	}
	signed := regexp.MustCompile(`SignedHeaders=([^,]*)`)
	theirs := signed.FindStringSubmatch(requests[0].Header.Get("Authorization"))[1]
	ours := signed.FindStringSubmatch(requests[1].Header.Get("Authorization"))[1]
	if diff := cmp.Diff(strings.TrimPrefix(theirs, "amz-sdk-invocation-id;amz-sdk-request;"), ours); diff != "" {
		t.Errorf("signed headers, the SDK's (-) and ours (+):\n%s", diff)
	}
	if diff := cmp.Diff(requests[0].RequestURI, requests[1].RequestURI); diff != "" {
		t.Errorf("targets, the SDK's (-) and ours (+):\n%s", diff)
	}
}

func TestTLS(t *testing.T) {
	var got string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Proto + " " + string(body)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(srv.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	newPoster := func(url string) *Poster {
		p, err := NewPoster(PosterOptions{
			URL: url, Region: "eu-west-1", Attempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", testSecret, ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}

	if err := newPoster(srv.URL+"/prod").Post(t.Context(), "C", NewPayload([]byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if got != "HTTP/1.1 hello" {
		t.Errorf("the server saw %q", got)
	}
	// The certificate is valid for 127.0.0.1, not for this name of the same server.
	err := newPoster(strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)+"/prod").Post(context.Background(), "C", NewPayload([]byte("hello")))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate for another name: got %v", err)
	}
}
