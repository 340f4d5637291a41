package serverapi

import (
	_ "embed"
	"net/http"
)

// OpenAPI is the reference of this API: an OpenAPI 3.1 document in JSON. Tests compare
// every answer with it. It must not be modified.
//
//go:embed openapi.json
var OpenAPI []byte

// document answers GET /api/openapi.json without a key: the document is public.
func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(OpenAPI)
}
