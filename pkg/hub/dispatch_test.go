package hub

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dispatchData is what crosses the seam of a Dispatcher.
type dispatchData struct {
	Audience Audience
	Messages []Message
	Result   Result
}

// TestDispatchDataRoundTrip checks that the parameters and the result of a dispatch are
// data that could go to another Lambda: JSON keeps every field.
func TestDispatchDataRoundTrip(t *testing.T) {
	ch := Channel{Project: "p", Category: "chat", Incarnation: "0badcafe", Name: "ключ \x00"}
	ended := Ended{
		Gone:     Gone{Connection: "L0SM9cOFvHcCIhx=", Channel: ch, Shard: 7, Hidden: true},
		Protocol: Classic, Batch: true, Basis: Basis{Secret: "1123456789abcdef", Origin: "https://a.example.com", MD5: true, Confirmed: true, Listed: true},
		Standing: Standing{
			ID: "7", Recoverable: true, JoinLeave: true, Joining: true, Server: true, Since: time.UnixMilli(1_800_000_000_123).UTC(), From: 8, Lost: true, Expired: true,
			Mark: Mark{Lease: "01234567", Era: 9},
		},
	}
	want := dispatchData{
		Audience: Audience{Channel: ch, Shards: 4, Only: []Ended{ended}, Stalled: []string{"L0SM9cOFvHcCIhy="}, Era: 10, Abandoned: time.UnixMilli(1_800_000_000_123).UTC(), Rule: Rule{
			Secret: "0123456789abcdef", Others: []string{"2123456789abcdef"}, Origins: []string{"https://example.com"}, AllowMD5: true, Private: true, Listed: true,
		}},
		Messages: []Message{{
			ID: "6921d2fb0123456789abcdef", Channel: ch, ProjectName: "P", CategoryID: "6921d2fa0123456789abcdef",
			Event: Join, Data: json.RawMessage(`{"n":1.50}`),
			Client:   Client{Connection: "L0SM9cOFvHcCIhw=", User: "u", Info: json.RawMessage(`["info"]`), ChannelInfo: json.RawMessage(`{}`)},
			Position: Position{Epoch: "6921d2fb89abcdef01234567", Offset: math.MaxUint64}, Time: time.UnixMilli(1_800_000_000_123).UTC(),
			Tags: map[string]string{"kind": "goal"},
		}},
		Result: Result{
			Delivered: 1, Slow: 2, Failed: 3, Unsent: 4, Refused: 5, Refusal: "403",
			Gone:    []Gone{{Connection: "L0SM9cOFvHcCIhw=", Channel: ch, Shard: 5, Hidden: true}},
			Ended:   []Ended{ended},
			Stalled: []string{"L0SM9cOFvHcCIhz="},
			Lost:    []Lost{{Gone: Gone{Connection: "L0SM9cOFvHcCIhw=", Channel: ch, Shard: 5, Hidden: true}, ID: "11"}},
			Unread:  []Unread{{Shard: 6, Cause: "throttled"}},
		},
	}
	checkData(t, "dispatchData", reflect.ValueOf(want))
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got dispatchData
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestResultErr(t *testing.T) {
	for _, test := range []struct {
		name string
		Result
		want string // "" for no error
	}{
		{"no subscribers", Result{}, ""},
		{"slow and gone clients", Result{Slow: 2, Gone: make([]Gone, 3)}, ""},
		{"posts without an answer", Result{Failed: 2}, ""},
		{"some posts refused", Result{Delivered: 1, Failed: 2, Refused: 2, Refusal: "403"}, ""},
		{"nobody reached, because of refusals", Result{Slow: 1, Failed: 3, Refused: 2, Refusal: "403"}, "no post was delivered, and 2 were refused: 403"},
		{"posts that were not begun", Result{Delivered: 1, Failed: 2, Unsent: 2}, "2 posts were not begun before the time ran out"},
		{"unread shards", Result{Delivered: 1, Unread: []Unread{{Shard: 6, Cause: "throttled"}}}, "read subscribers of 1 shards, such as 6: throttled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := test.Err(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got error %q, want %q", got, test.want)
			}
		})
	}
}

// checkData checks that a value consists of data, with every field set.
func checkData(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Bool, reflect.Int, reflect.Uint8, reflect.Uint64, reflect.String:
	case reflect.Map:
		for _, key := range v.MapKeys() {
			checkData(t, path+"[]", key)
			checkData(t, path+"[]", v.MapIndex(key))
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkData(t, path+"[]", v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == "-" {
				continue // it stays in this process
			}
			field := path + "." + v.Type().Field(i).Name
			if v.Field(i).IsZero() {
				t.Errorf("%s is not set: set it in the test", field)
			}
			checkData(t, field, v.Field(i))
		}
	default:
		t.Errorf("%s is a %s, which is not data", path, v.Kind())
	}
}
