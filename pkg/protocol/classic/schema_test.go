package classic

import (
	"bytes"
	"errors"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"centrifuge/pkg/hub"
)

// schemas are the published schemas, compiled.
var schemas = func() map[string]*jsonschema.Schema {
	compiled := make(map[string]*jsonschema.Schema)
	for _, name := range []string{"envelope", "auth", "subscribe", "unsubscribe", "broadcast", "presence", "rpc-unsubscribe", "ping", "reply", "push", "batch"} {
		compiled[name] = jsonschema.NewCompiler().MustCompile("schema/" + name + ".json")
	}
	return compiled
}()

// check validates a document that is JSON.
func check(schema string, document []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return schemas[schema].Validate(v)
}

func validate(t *testing.T, schema string, document []byte) {
	t.Helper()
	if err := check(schema, document); err != nil {
		t.Errorf("%s does not satisfy schema/%s.json: %v", document, schema, err)
	}
}

// FuzzDecode checks that the decoder and the schemas accept the same frames and the same
// params of every method.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[]`, `{}`, `{"method":"auth","params":{}}`, `{"id":null,"method":"x","params":{}}`,
		`{"id":"1","method":"auth","params":{"token":"t","user":"u","project_id":"p","permissions":{"a":["x",1],"b":{}}}}`,
		`{"method":"auth","params":{"token":"t","user":"u","project_id":"p","permissions":{"a":["x"],"a":{}}}}`,
		`{"method":"auth","params":{"token":"t","user":"u","project_id":"p","permissions":{},"batch":true}}`,
		`{"method":"auth","params":{"token":"t","user":"u","project_id":"p","permissions":{},"batch":null}}`,
		`{"method":"subscribe","params":{"to":{"a":["x"],"b":[]}}}`,
		`{"method":"unsubscribe","params":{"user":"u","from":{"a":["x",null]}}}`,
		`{"method":"broadcast","params":{"category":"a","channel":"x","data":{"a":[1e400]},"unique_keys":[]}}`,
		`{"method":"broadcast","Params":{},"params":{"category":"a","category":1,"channel":"\ud800","data":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		e, err := Decode(frame)
		var known *hub.Error
		if err != nil && !errors.As(err, &known) {
			t.Fatalf("%q: the error is no hub.Error: %v", frame, err)
		}
		if wrong := hub.SyntaxError(frame, "params", "data"); wrong != "" {
			if err == nil {
				t.Fatalf("%q is accepted: %s", frame, wrong)
			}
			return
		}
		// The schemas count characters, the decoder bytes.
		if errors.Is(err, hub.ErrLimitExceeded) {
			return
		}
		if schema := check("envelope", frame); (err == nil) != (schema == nil) {
			t.Fatalf("%q: the decoder says %v, the schema %v", frame, err, schema)
		}
		if err != nil {
			return
		}
		params := encode(e.params)
		for schema, decode := range map[string]func() error{
			"auth":            func() error { _, err := e.Auth(); return err },
			"subscribe":       func() error { _, err := e.Subscribe(); return err },
			"unsubscribe":     func() error { _, err := e.Unsubscribe(); return err },
			"broadcast":       func() error { _, err := e.Broadcast(); return err },
			"presence":        func() error { _, err := e.Presence(); return err },
			"rpc-unsubscribe": func() error { _, err := e.UnsubscribeUser(); return err },
		} {
			err := decode()
			// No schema can limit the number of all names, or find a key that occurs twice.
			if errors.Is(err, hub.ErrLimitExceeded) || err == error(hub.ErrCategoryTwice) { //nolint:errorlint // this entry alone
				continue
			}
			if allowed := check(schema, params); (err == nil) != (allowed == nil) {
				t.Fatalf("%s %s: the decoder says %v, the schema %v", schema, params, err, allowed)
			}
		}
	})
}
