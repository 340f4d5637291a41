package stack_test

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// TestHead sends GET and HEAD to the first page, the documents, every public page and the
// refusals of others. The responses differ in their body alone.
func TestHead(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), AdminPassword: "admin-password", Documents: os.DirFS("../..")})
	ask := func(method, path string) (status int, header http.Header, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.HTTPURL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Transport{}).RoundTrip(r) // follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, changing := range []string{"Date", "Content-Length", "Apigw-Requestid"} {
			res.Header.Del(changing)
		}
		return res.StatusCode, res.Header, string(b)
	}
	for _, tt := range []struct {
		path   string
		status int
	}{
		{"/", 200}, {"/documents/README.md", 200}, {"/documents/document.css", 200}, {"/documents/absent.md", 404},
		{"/healthz", 200}, {"/api/openapi.json", 200}, {"/nowhere", 404},
		{"/admin", 303}, {"/admin/", 303}, {"/admin/sign-in", 200}, {"/admin/assets/admin.css", 200}, {"/admin/assets/absent.css", 404},
		{"/admin/api/projects", 401},
		{"/demo", 301}, {"/demo/", 200}, {"/demo/chat.js", 200}, {"/demo/centrifuge.js", 200}, {"/demo/live", 200}, {"/demo/absent", 404},
	} {
		t.Run(tt.path, func(t *testing.T) {
			status, header, body := ask(http.MethodGet, tt.path)
			if status != tt.status || status == http.StatusOK && body == "" {
				t.Errorf("GET: status %d, expected %d, %d bytes", status, tt.status, len(body))
			}
			headStatus, headHeader, headBody := ask(http.MethodHead, tt.path)
			if headStatus != status || headBody != "" {
				t.Errorf("HEAD: status %d, GET %d, body %q", headStatus, status, headBody)
			}
			if diff := cmp.Diff(header, headHeader); diff != "" {
				t.Errorf("-GET +HEAD:\n%s", diff)
			}
		})
	}
}
