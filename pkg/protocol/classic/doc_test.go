package classic

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// reference is README.md, the reference of the protocol.
func reference(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// examples are the frames in the blocks of the reference that follow an arrow. The lines
// of a frame are joined.
func examples(t *testing.T, arrow string) [][]byte {
	t.Helper()
	var frames [][]byte
	inBlock, open := false, false
	for line := range strings.Lines(reference(t)) {
		frame, begins := strings.CutPrefix(line, arrow+" ")
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock, open = !inBlock, false
		case !inBlock:
		case begins:
			open = true
			frames = append(frames, []byte(strings.TrimSpace(frame)))
		case strings.HasPrefix(line, " ") && open:
			last := &frames[len(frames)-1]
			*last = append(*last, strings.TrimSpace(line)...)
		default:
			open = false // the other arrow
		}
	}
	return frames
}

func TestReferenceCommands(t *testing.T) {
	decode := map[string]func(Envelope) error{
		MethodAuth:        func(e Envelope) error { _, err := e.Auth(); return err },
		MethodSubscribe:   func(e Envelope) error { _, err := e.Subscribe(); return err },
		MethodUnsubscribe: func(e Envelope) error { _, err := e.Unsubscribe(); return err },
		MethodBroadcast:   func(e Envelope) error { _, err := e.Broadcast(); return err },
		MethodPresence:    func(e Envelope) error { _, err := e.Presence(); return err },
	}
	shown := map[string]bool{}
	pings := 0
	for _, frame := range examples(t, "->") {
		if check("ping", frame) == nil {
			pings++ // no function receives it
			continue
		}
		validate(t, "envelope", frame)
		e, err := Decode(frame)
		if err != nil {
			t.Errorf("%s: %v", frame, err)
			continue
		}
		read, known := decode[e.Method]
		if !known {
			t.Errorf("%s has an unknown method", frame)
			continue
		}
		shown[e.Method] = true
		validate(t, e.Method, encode(e.params))
		if err := read(e); err != nil {
			t.Errorf("%s: %v", frame, err)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(decode)), slices.Sorted(maps.Keys(shown))); diff != "" {
		t.Errorf("methods with an example (-methods +examples):\n%s", diff)
	}
	if pings == 0 {
		t.Error("ping has no example")
	}
}

// TestReferenceAnswers checks that the encoder makes the same bytes as each frame that a
// client receives in the reference.
func TestReferenceAnswers(t *testing.T) {
	replies, messages, positions, batches, events := 0, 0, 0, 0, map[hub.Event]int{}
	for _, frame := range examples(t, "<-") {
		if kind(frame) == '[' {
			batches++
			validate(t, "batch", frame)
			if diff := cmp.Diff(string(frame), string(encodedBatch(t, frame))); diff != "" {
				t.Errorf("-documented +encoded:\n%s", diff)
			}
			continue
		}
		var keys struct {
			Ack    bool      `json:"ack"`
			Event  hub.Event `json:"event"`
			Offset uint64    `json:"offset"`
		}
		if err := json.Unmarshal(frame, &keys); err != nil {
			t.Errorf("%s: %v", frame, err)
			continue
		}
		schema, again := "push", encodedPush
		switch {
		case keys.Ack:
			schema, again = "reply", encodedReply
			replies++
		case keys.Offset > 0:
			positions++
		case keys.Event == "":
			messages++
		default:
			events[keys.Event]++
		}
		validate(t, schema, frame)
		if diff := cmp.Diff(string(frame), string(again(t, frame))); diff != "" {
			t.Errorf("-documented +encoded:\n%s", diff)
		}
	}
	if replies == 0 || messages == 0 || positions == 0 || batches == 0 || events[hub.Join] == 0 || events[hub.Leave] == 0 {
		t.Errorf("%d replies, %d messages, %d messages of streams, %d batches and the events %v: one of each kind is required",
			replies, messages, positions, batches, events)
	}
}

func encodedReply(t *testing.T, frame []byte) []byte {
	t.Helper()
	var r struct {
		ID      *string                      `json:"id"`
		Method  string                       `json:"method"`
		Result  json.RawMessage              `json:"result"`
		Error   *string                      `json:"error"`
		Code    int                          `json:"code"`
		Detail  string                       `json:"detail"`
		Refused map[string][]string          `json:"refused"`
		Reasons map[string]map[string]reason `json:"reasons"`
	}
	unmarshal(t, frame, &r)
	var result Result
	for category, names := range r.Refused {
		for _, name := range names {
			why := r.Reasons[category][name]
			result.Refused = append(result.Refused, hub.Refusal{
				Channel: hub.Channel{Category: category, Name: name},
				Reason:  &hub.Error{Code: why.Code, Message: why.Error, Help: why.Detail},
			})
		}
	}
	if len(r.Result) > 0 && r.Result[0] == '{' {
		var presence struct {
			Presence map[string]Client `json:"presence"`
		}
		unmarshal(t, r.Result, &presence)
		result.Presence = presence.Presence
	}
	var err error
	if r.Error != nil {
		err = &hub.Error{Code: r.Code, Message: *r.Error, Help: r.Detail}
	}
	return Reply(Envelope{ID: r.ID, Method: r.Method}, result, err)
}

func encodedPush(t *testing.T, frame []byte) []byte {
	t.Helper()
	push, err := Push(messageOf(t, frame))
	if err != nil {
		t.Errorf("%s: %v", frame, err)
	}
	return push
}

// encodedBatch encodes the messages of a batch, which are to be one frame.
func encodedBatch(t *testing.T, frame []byte) []byte {
	t.Helper()
	var pushes []json.RawMessage
	unmarshal(t, frame, &pushes)
	var messages []hub.Message
	for _, p := range pushes {
		messages = append(messages, messageOf(t, p))
	}
	frames, err := Pushes(messages, true)
	if err != nil || len(frames) != 1 {
		t.Errorf("%s: %d frames (%v)", frame, len(frames), err)
	}
	return bytes.Join(frames, nil)
}

// messageOf is the message of a push.
func messageOf(t *testing.T, push []byte) hub.Message {
	t.Helper()
	var p struct {
		ProjectID  string            `json:"project_id"`
		Project    string            `json:"project"`
		CategoryID string            `json:"category_id"`
		Category   string            `json:"category"`
		EventID    string            `json:"event_id"`
		Channel    string            `json:"channel"`
		Data       json.RawMessage   `json:"data"`
		Event      hub.Event         `json:"event"`
		Client     Client            `json:"client"`
		Offset     uint64            `json:"offset"`
		Epoch      string            `json:"epoch"`
		Tags       map[string]string `json:"tags"`
	}
	unmarshal(t, push, &p)
	return hub.Message{
		ID: p.EventID, Channel: hub.Channel{Project: p.ProjectID, Category: p.Category, Name: p.Channel},
		ProjectName: p.Project, CategoryID: p.CategoryID, Data: p.Data, Event: p.Event,
		Client:   hub.Client{Connection: p.Client.Client, User: p.Client.User, Info: p.Client.Info},
		Position: hub.Position{Epoch: p.Epoch, Offset: p.Offset}, Tags: p.Tags,
	}
}

// unmarshal decodes JSON, and reports an error.
func unmarshal(t *testing.T, document []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(document, into); err != nil {
		t.Errorf("%s: %v", document, err)
	}
}

// TestReferenceSchemas checks that the reference names every schema.
func TestReferenceSchemas(t *testing.T) {
	text := reference(t)
	files, err := filepath.Glob("schema/*.json")
	if err != nil || len(files) != len(schemas) {
		t.Fatalf("%d files of %d schemas: %v", len(files), len(schemas), err)
	}
	for _, file := range files {
		if !strings.Contains(text, filepath.ToSlash(file)) {
			t.Errorf("%s is not named", file)
		}
	}
}

// TestReferenceErrors checks that the table of the reference has exactly the errors of
// the hub that a client may get.
func TestReferenceErrors(t *testing.T) {
	_, errors, _ := strings.Cut(reference(t), "\n## Errors\n")
	errors, _, _ = strings.Cut(errors, "\n## ")
	var listed []string
	for line := range strings.Lines(errors) {
		if row, ok := strings.CutPrefix(line, "| `"); ok {
			message, _, _ := strings.Cut(row, "`")
			listed = append(listed, message)
		}
	}
	// The errors that only applications, and clients of another protocol, get.
	only := []string{hub.ErrExpired.Message, hub.ErrCategoryNotFound.Message, hub.ErrMethodNotFound.Message, hub.ErrConflict.Message, hub.ErrUnrecoverablePosition.Message}
	want := slices.DeleteFunc(table(t), func(message string) bool { return slices.Contains(only, message) })
	slices.Sort(listed)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("errors of clients (-errors +listed):\n%s", diff)
	}
}

// table lists the messages of the errors of the hub in alphabetical order. It reads them
// from the source, so that it is always complete.
func table(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("../../hub/error.go")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), "error.go", bytes.NewReader(source), 0)
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	ast.Inspect(f, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, isName := pair.Key.(*ast.Ident)
		value, isText := pair.Value.(*ast.BasicLit)
		if isName && isText && key.Name == "Message" {
			var message string
			unmarshal(t, []byte(value.Value), &message)
			messages = append(messages, message)
		}
		return true
	})
	slices.Sort(messages)
	if len(messages) < 10 {
		t.Fatalf("the table has %d entries", len(messages))
	}
	return messages
}
