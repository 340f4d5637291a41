package centrifugo

import (
	stdcmp "cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reference is README.md.
func reference(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// examples are the frames in the blocks of the reference that follow an arrow.
func examples(t *testing.T, arrow string) (frames []string) {
	t.Helper()
	inBlock, open := false, false
	for line := range strings.Lines(reference(t)) {
		line = strings.TrimRight(line, "\n")
		object, begins := strings.CutPrefix(line, arrow+" ")
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock, open = !inBlock, false
		case !inBlock:
		case begins:
			open = true
			frames = append(frames, object)
		case strings.HasPrefix(line, " ") && open:
			frames[len(frames)-1] += "\n" + strings.TrimSpace(line)
		default:
			open = false // the other arrow
		}
	}
	return frames
}

func TestReferenceExamples(t *testing.T) {
	sent, received := examples(t, "->"), examples(t, "<-")
	if len(sent) != 2 || len(received) != 3 {
		t.Errorf("%d frames of clients and %d of the server", len(sent), len(received))
	}
	for _, frame := range sent {
		commands, err := Decode([]byte(frame))
		if err != nil {
			t.Errorf("%s: %v", frame, err)
		}
		for _, c := range commands {
			if c.Refusal != nil {
				t.Errorf("%s: %v", frame, c.Refusal)
			}
		}
	}
	for _, frame := range received {
		var objects [][]byte
		for line := range strings.SplitSeq(frame, "\n") {
			// A key that the types do not have is lost, and found missing.
			var object struct {
				Reply
				Push *push `json:"push,omitempty"`
			}
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			again, err := encode(object)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, again)
			readByOracle(t, []byte(line))
		}
		if diff := cmp.Diff([]string{frame}, text(Frames(objects))); diff != "" {
			t.Errorf("-documented +encoded:\n%s", diff)
		}
	}
}

func text(frames [][]byte) (texts []string) {
	for _, frame := range frames {
		texts = append(texts, string(frame))
	}
	return texts
}

// rows are the rows of the table of the reference whose first column has this head.
func rows(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	_, table, found := strings.Cut(reference(t), "\n| "+head+" |")
	if !found {
		t.Fatalf("no table of %s", head)
	}
	for i, line := range slices.Collect(strings.Lines(table)) {
		if i > 0 && !strings.HasPrefix(line, "|") {
			break
		}
		if i > 1 {
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

func TestReferenceCodes(t *testing.T) {
	row := func(code uint32, text string, yes bool) []string {
		r := []string{fmt.Sprint(code), "`" + text + "`", ""}
		if yes {
			r[2] = "yes"
		}
		return r
	}
	var wantErrors, wantReasons [][]string
	for _, e := range protocolErrors {
		wantErrors = append(wantErrors, row(e.Code, e.Message, e.Temporary))
	}
	for _, d := range disconnects {
		wantReasons = append(wantReasons, row(uint32(d.Code), d.Reason, d.Reconnects()))
	}
	for _, u := range unsubscribes {
		wantReasons = append(wantReasons, row(uint32(u.Code), u.Reason, u.Code >= 2500))
	}
	if diff := cmp.Diff(wantErrors, rows(t, "code | message")); diff != "" {
		t.Errorf("errors (-code +documented):\n%s", diff)
	}
	if diff := cmp.Diff(wantReasons, rows(t, "code | reason")); diff != "" {
		t.Errorf("disconnects and unsubscribes (-code +documented):\n%s", diff)
	}
}

// keys are the JSON keys of a struct, quoted as in the reference.
func keys(v any) (keys []string) {
	for i := range reflect.TypeOf(v).NumField() {
		key, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
		keys = append(keys, "`"+key+"`")
	}
	return keys
}

func TestReferenceCommands(t *testing.T) {
	results := map[string]any{
		"connect": ConnectResult{}, "subscribe": SubscribeResult{}, "unsubscribe": UnsubscribeResult{}, "publish": PublishResult{}, "presence": PresenceResult{},
		"presence_stats": PresenceStatsResult{}, "history": HistoryResult{}, "rpc": RPCResult{}, "refresh": RefreshResult{}, "sub_refresh": SubRefreshResult{}, "ping": PingResult{},
	}
	var documented []string
	for _, row := range rows(t, "command") {
		method := strings.Trim(row[0], "`")
		documented = append(documented, method)
		want := "no reply"
		if result, ok := results[method]; ok {
			want = stdcmp.Or(strings.Join(keys(result), ", "), "none")
		}
		if row[2] != want {
			t.Errorf("the result of %s is %s, documented is %s", method, want, row[2])
		}
	}
	slices.Sort(documented)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(requests)), documented); diff != "" {
		t.Errorf("commands (-code +documented):\n%s", diff)
	}
}

func TestReferencePushes(t *testing.T) {
	contents := map[string]any{
		"pub": Publication{}, "join": announcement{}, "leave": announcement{}, "subscribe": Subscribe{}, "unsubscribe": end{},
		"message": message{}, "disconnect": end{}, "refresh": Refresh{},
	}
	want := []string{"`channel`"}
	for _, row := range rows(t, "push") {
		want = append(want, row[0])
		if got := strings.Join(keys(contents[strings.Trim(row[0], "`")]), ", "); row[1] != got {
			t.Errorf("the content of %s is %s, documented is %s", row[0], got, row[1])
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(keys(push{})))); diff != "" {
		t.Errorf("pushes (-documented +code):\n%s", diff)
	}
}
