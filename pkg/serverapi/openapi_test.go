package serverapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/serverapi"
)

// object is a JSON object.
type object = map[string]any

// reference is an OpenAPI document with a compiler for its schemas.
type reference struct {
	root     object
	compiler *jsonschema.Compiler
}

const location = "https://centrifuge.example/openapi.json"

// published is the unchanged document.
func published(t *testing.T) *reference { return load(t, func(any) {}) }

// exact is the document with objects that have only the described keys. Callers must
// expect new keys; the tests must not.
func exact(t *testing.T) *reference {
	return load(t, func(v any) {
		schema, ok := v.(object)
		if !ok {
			return
		}
		_, isSchema := schema["properties"].(object)
		if _, stated := schema["additionalProperties"]; isSchema && !stated {
			schema["additionalProperties"] = false
		}
	})
}

func load(t *testing.T, change func(any)) *reference {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(serverapi.OpenAPI))
	if err != nil {
		t.Fatal(err)
	}
	walk("", v, func(_ string, v any) { change(v) })
	d := &reference{root: v.(object), compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := d.compiler.AddResource(location, v); err != nil {
		t.Fatal(err)
	}
	return d
}

// walk calls visit with every value in a document and its JSON pointer.
func walk(pointer string, v any, visit func(pointer string, v any)) {
	visit(pointer, v)
	switch v := v.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			walk(join(pointer, key), v[key], visit)
		}
	case []any:
		for i, item := range v {
			walk(fmt.Sprintf("%s/%d", pointer, i), item, visit)
		}
	}
}

func join(pointer string, keys ...string) string {
	for _, key := range keys {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	return pointer
}

// find returns the value at a JSON pointer and its pointer. It follows $ref. The value is
// nil if there is none.
func (d *reference) find(pointer string) (string, any) {
	var v any = d.root
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch parent := v.(type) {
		case object:
			v = parent[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(parent) {
				return pointer, nil
			}
			v = parent[i]
		default:
			return pointer, nil
		}
	}
	if o, _ := v.(object); o != nil {
		if ref, ok := o["$ref"].(string); ok {
			return d.find(strings.TrimPrefix(ref, "#"))
		}
	}
	return pointer, v
}

func (d *reference) object(pointer string) (string, object) {
	at, v := d.find(pointer)
	o, _ := v.(object)
	return at, o
}

// check validates a value with the schema at a pointer.
func (d *reference) check(pointer string, value any) error {
	schema, err := d.compiler.Compile(location + "#" + (&url.URL{Path: pointer}).EscapedPath())
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// operations are the pointers of all operations.
func (d *reference) operations() []string {
	var pointers []string
	for path, item := range d.root["paths"].(object) {
		for method := range item.(object) {
			pointers = append(pointers, join("/paths", path, method))
		}
	}
	slices.Sort(pointers)
	return pointers
}

func TestDocumentRoute(t *testing.T) {
	w := httptest.NewRecorder()
	serverapi.New(serverapi.Options{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/openapi.json", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || !bytes.Equal(w.Body.Bytes(), serverapi.OpenAPI) {
		t.Errorf("status %d, %s, %d bytes", w.Code, w.Header().Get("Content-Type"), w.Body.Len())
	}
}

func TestDocumentMethods(t *testing.T) {
	want := []string{"get /healthz", "get /api/openapi.json", "post /rpc/{project}", "post /api"}
	for _, method := range serverapi.Methods {
		want = append(want, "post /api/"+method)
	}
	var got []string
	for path, item := range published(t).root["paths"].(object) {
		for method, operation := range item.(object) {
			got = append(got, method+" "+path)
			// The operation rpc is that of 2013.
			if name, ok := strings.CutPrefix(path, "/api/"); ok && method == "post" && name != "rpc" && operation.(object)["operationId"] != name {
				t.Errorf("the operationId of %s is %v", path, operation.(object)["operationId"])
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-served +described:\n%s", diff)
	}
}

func TestDocumentForm(t *testing.T) {
	d := published(t)
	info := d.root["info"].(object)
	if d.root["openapi"] != "3.1.0" || info["title"] == nil || info["version"] != serverapi.Version {
		t.Errorf("openapi %v, title %v, version %v", d.root["openapi"], info["title"], info["version"])
	}
	tags := map[any]bool{}
	for _, tag := range d.root["tags"].([]any) {
		tags[tag.(object)["name"]] = false
	}
	_, schemes := d.object("/components/securitySchemes")
	used := map[string]bool{}
	security := func(where string, alternatives any) {
		for _, alternative := range alternatives.([]any) {
			for scheme := range alternative.(object) {
				if used[scheme] = true; schemes[scheme] == nil {
					t.Errorf("%s: unknown security scheme %s", where, scheme)
				}
			}
		}
	}
	security("the document", d.root["security"])
	ids := map[any]bool{}
	for _, at := range d.operations() {
		_, operation := d.object(at)
		for _, key := range []string{"operationId", "summary", "description"} {
			if text, _ := operation[key].(string); text == "" {
				t.Errorf("%s has no %s", at, key)
			}
		}
		if ids[operation["operationId"]] {
			t.Errorf("%s: the operationId %v is used twice", at, operation["operationId"])
		}
		ids[operation["operationId"]] = true
		if len(operation["tags"].([]any)) == 0 {
			t.Errorf("%s has no tag", at)
		}
		for _, tag := range operation["tags"].([]any) {
			if _, known := tags[tag]; !known {
				t.Errorf("%s: the tag %v is not declared", at, tag)
			}
			tags[tag] = true
		}
		if own, ok := operation["security"]; ok {
			security(at, own)
		}
		checkParameters(t, d, at)
		checkResponses(t, d, at)
	}
	for tag, used := range tags {
		if !used {
			t.Errorf("no operation has the tag %v", tag)
		}
	}
	if len(used) != len(schemes) {
		t.Errorf("only the security schemes %v are used", used)
	}
}

// checkParameters checks that the variables of a path and its parameters are the same. Other
// parameters are headers.
func checkParameters(t *testing.T, d *reference, at string) {
	t.Helper()
	var got, want []string
	for _, match := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(at, -1) {
		want = append(want, match[1])
	}
	_, parameters := d.find(at + "/parameters")
	list, _ := parameters.([]any)
	for i := range list {
		_, p := d.object(fmt.Sprintf("%s/parameters/%d", at, i))
		inPath := p["in"] == "path"
		if p["schema"] == nil || p["description"] == nil || !inPath && p["in"] != "header" || inPath && p["required"] != true {
			t.Errorf("%s: invalid parameter %v", at, p)
		}
		if inPath {
			got = append(got, p["name"].(string))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has the variables %v and the parameters %v", at, want, got)
	}
}

func checkResponses(t *testing.T, d *reference, at string) {
	t.Helper()
	_, responses := d.object(at + "/responses")
	if responses["200"] == nil {
		t.Errorf("%s has no response for 200", at)
	}
	for status := range responses {
		if !regexp.MustCompile(`^([1-5]\d\d|default)$`).MatchString(status) {
			t.Errorf("%s: invalid status %s", at, status)
		}
		where, response := d.object(join(at, "responses", status))
		if text, _ := response["description"].(string); text == "" {
			t.Errorf("%s has no description", where)
		}
		if _, content := d.object(join(where, "content", "application/json")); content["schema"] == nil {
			t.Errorf("%s has no schema", where)
		}
	}
}

func TestDocumentReferences(t *testing.T) {
	d := published(t)
	used := map[string]bool{}
	walk("", d.root, func(pointer string, v any) {
		o, _ := v.(object)
		ref, isRef := o["$ref"].(string)
		if !isRef {
			return
		}
		target, ok := strings.CutPrefix(ref, "#")
		if _, v := d.find(target); !ok || v == nil {
			t.Errorf("%s: %s refers to nothing", pointer, ref)
		}
		used[target] = true
	})
	for _, kind := range []string{"schemas", "responses", "parameters"} {
		_, components := d.object(join("/components", kind))
		for name := range components {
			if !used[join("/components", kind, name)] {
				t.Errorf("nothing refers to %s %s", kind, name)
			}
		}
	}
}

// TestDocumentExamples checks the examples of the schemas of components, bodies and
// parameters. Compiling a schema checks it against the meta-schema.
func TestDocumentExamples(t *testing.T) {
	d := exact(t)
	examples := 0
	allows := func(schema, where string, value any) {
		examples++
		if err := d.check(schema, value); err != nil {
			t.Errorf("%s: the example %v is not allowed: %v", where, value, err)
		}
	}
	walk("", d.root, func(pointer string, v any) {
		o, ok := v.(object)
		if !ok {
			return
		}
		schema := pointer
		if o["schema"] != nil { // a media type or a parameter
			schema += "/schema"
			if example, ok := o["example"]; ok {
				allows(schema, pointer, example)
			}
			named, _ := o["examples"].(object)
			for name, example := range named {
				allows(schema, join(pointer, "examples", name), example.(object)["value"])
			}
		} else if !regexp.MustCompile(`^/components/schemas/\w+$`).MatchString(pointer) {
			if list, ok := o["examples"].([]any); ok { // a schema within a schema
				for _, example := range list {
					allows(pointer, pointer, example)
				}
			}
			return
		}
		if _, err := d.compiler.Compile(location + "#" + (&url.URL{Path: schema}).EscapedPath()); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
		if list, ok := o["examples"].([]any); ok {
			for _, example := range list {
				allows(schema, pointer, example)
			}
		}
	})
	if examples < 40 {
		t.Errorf("only %d examples were found", examples)
	}
}

// TestInvalidSchema checks that compiling an invalid schema fails.
func TestInvalidSchema(t *testing.T) {
	d := load(t, func(v any) {
		if o, ok := v.(object); ok && o["maxItems"] != nil {
			o["maxItems"] = "many"
		}
	})
	if err := d.check("/components/schemas/Broadcast", object{}); err == nil {
		t.Error(`{"maxItems": "many"} was compiled`)
	}
}

func TestSignatureExamples(t *testing.T) {
	d := published(t)
	_, examples := d.object(join("/paths", "/rpc/{project}", "post", "requestBody", "content", "text/plain", "examples"))
	for name, v := range examples {
		example := v.(object)
		body := example["value"].(string)
		if header := auth.SignRequest("demo-secret", "demo", []byte(body)); !strings.Contains(example["description"].(string), "X-Centrifuge-Auth: "+header+"`") {
			t.Errorf("%s: the signature is %s", name, header)
		}
		command, err := base64.StdEncoding.DecodeString(body)
		if err != nil || string(command) != example["summary"] {
			t.Errorf("%s is %s, error %v", name, command, err)
		}
	}
}

// TestCommandSchemas checks that the document and the classic protocol have the same
// schemas of commands.
func TestCommandSchemas(t *testing.T) {
	d := published(t)
	for name, file := range map[string]string{"BroadcastParams": "broadcast", "UnsubscribeParams": "rpc-unsubscribe", "PresenceParams": "presence"} {
		b, err := os.ReadFile("../protocol/classic/schema/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		_, got := d.object(join("/components/schemas", name))
		for _, schema := range []any{want, got} {
			walk("", schema, func(_ string, v any) {
				if o, ok := v.(object); ok {
					for _, key := range []string{"$schema", "title", "description"} {
						if _, isText := o[key].(string); isText {
							delete(o, key)
						}
					}
				}
			})
		}
		if diff := cmp.Diff(want, any(got)); diff != "" {
			t.Errorf("%s: -classic +document:\n%s", name, diff)
		}
	}
}

// TestDocumentLimits compares the numbers in the document with the constants.
func TestDocumentLimits(t *testing.T) {
	d := published(t)
	for pointer, want := range map[string]int{
		"/components/schemas/Broadcast/properties/channels/maxItems":                                     serverapi.MaxBroadcastChannels,
		"/components/schemas/BroadcastAnswer/oneOf/0/properties/result/properties/responses/maxItems":    serverapi.MaxBroadcastChannels,
		"/components/schemas/Presence/properties/presence/maxProperties":                                 hub.MaxPresence,
		"/components/schemas/Batch/properties/commands/maxItems":                                         serverapi.MaxCommands,
		"/components/schemas/BatchAnswer/oneOf/0/properties/replies/maxItems":                            serverapi.MaxCommands,
		"/components/schemas/Client/maxLength":                                                           hub.MaxNameBytes,
		"/components/schemas/Disconnection/properties/reason/maxLength":                                  hub.MaxNameBytes,
		"/components/schemas/User/maxLength":                                                             hub.MaxNameBytes,
		"/components/schemas/Channel/maxLength":                                                          hub.MaxNameBytes,
		"/components/schemas/IdempotencyKey/maxLength":                                                   hub.MaxNameBytes,
		"/components/schemas/Channels/properties/pattern/maxLength":                                      hub.MaxNameBytes,
		"/components/schemas/Channels/properties/limit/maximum":                                          hub.MaxChannelPage,
		"/components/schemas/Channels/properties/limit/default":                                          serverapi.DefaultChannels,
		"/components/schemas/ChannelsAnswer/oneOf/0/properties/result/properties/channels/maxProperties": hub.MaxChannelPage,
	} {
		if _, got := d.find(pointer); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, the limit is %d", pointer, got, want)
		}
	}
	texts := fmt.Sprint(d.root)
	for text, holds := range map[string]bool{
		"larger than 1 MiB":              serverapi.MaxBodyBytes == 1<<20,
		"32 KiB unless set":              hub.DefaultMessageBytes == 32<<10,
		"128 KiB less the envelope":      hub.MaxMessageBytes == 128<<10,
		"nothing again for five minutes": hub.IdempotencyWindow.Minutes() == 5,
		"at most 1000 channels":          serverapi.MaxBroadcastChannels == 1000,
		"at most 1000 commands":          serverapi.MaxCommands == 1000,
		"larger than 1 KiB":              hub.MaxInfoBytes == 1<<10,
		"more than 10000 connections":    hub.MaxPresence == 10_000,
		"at most 10000 clients in each":  hub.MaxCounted == 10_000,
		"more than 200000 users":         hub.MaxUsage == 200_000,
	} {
		if !holds || !strings.Contains(texts, text) {
			t.Errorf("%q: stated %t, true %t", text, strings.Contains(texts, text), holds)
		}
	}
}
