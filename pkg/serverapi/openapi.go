package serverapi

import (
	_ "embed"
	"net/http"
)

// OpenAPI is the reference of this API: an OpenAPI 3.1 document in JSON, to which
// the tests hold every answer. It must not be modified.
//
//go:embed openapi.json
var OpenAPI []byte

// document answers GET /api/openapi.json, to anybody: it holds nothing that is
// not in the source.
func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(OpenAPI)
}
