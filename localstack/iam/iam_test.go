package iam_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/localstack/iam"
)

// rig is a proxy whose services record the paths that they serve.
type rig struct {
	served []string
	killed []string
	server *httptest.Server
}

func newRig(t *testing.T, faults func(iam.Request) iam.Fault) *rig {
	t.Helper()
	r := &rig{}
	service := func(name string) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { r.served = append(r.served, name+q.URL.Path) })
	}
	dynamoDB := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if signed := q.Header.Get("Authorization"); !strings.Contains(signed, " Credential=local/20261126/") {
			t.Errorf("the database got the signature %s", signed)
		}
		service("dynamodb ").ServeHTTP(w, q)
	}))
	t.Cleanup(dynamoDB.Close)
	address, err := url.Parse(dynamoDB.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewServer(iam.New(iam.Options{
		Functions: []functions.Function{
			{
				Name: "wide", Table: []string{"Query", "GetItem", "PutItem"}, Index: []string{"Query"}, Connections: []string{"POST"},
				Puts:    []functions.Event{{Source: "centrifuge", DetailType: "message"}},
				Invokes: []string{"dispatch"},
			},
			{Name: "admin", Partitions: []functions.Partition{{Key: "A", Actions: []string{"GetItem"}}}},
			{Name: "narrow", Partitions: []functions.Partition{{Key: "P#demo", Actions: []string{"Query"}}, {Key: "T#demo/*", Actions: []string{"GetItem"}}}},
		},
		DynamoDB: address, Management: service("management "), EventBridge: service("eventbridge "), Lambda: service("lambda "),
		Faults: faults, Kill: func(id string) { r.killed = append(r.killed, id) }, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(r.server.Close)
	return r
}

// ask makes a request, and returns the status, or 0 without an answer.
func (r *rig) ask(t *testing.T, method, path, key, action, body string) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20261126/us-east-1/x/aws4_request, SignedHeaders=host, Signature=0")
	q.Header.Set("X-Amz-Target", "Target."+action)
	w, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0
	}
	defer w.Body.Close()
	if _, err := io.Copy(io.Discard, w.Body); err != nil {
		t.Error(err)
	}
	return w.StatusCode
}

func TestGrants(t *testing.T) {
	const table, post, bus, invoke = "/dynamodb", "/management/dev/@connections/C", "/eventbridge", "/lambda/2015-03-31/functions/dispatch/invocations"
	for _, tt := range []struct {
		name, method, path, function, action, body string
		status                                     int
	}{
		{"action on the table", "POST", table, "wide", "Query", `{}`, 200},
		{"other action on the table", "POST", table, "wide", "Scan", `{}`, 400},
		{"action on the index", "POST", table, "wide", "Query", `{"IndexName":"i"}`, 200},
		{"action on the index, without the right", "POST", table, "narrow", "Query", `{"IndexName":"i","KeyConditionExpression":"#0 = :0","ExpressionAttributeValues":{":0":{"S":"P#demo"}}}`, 400},
		{"body that is not JSON", "POST", table, "wide", "Query", `{`, 400},
		{"query of the partition", "POST", table, "narrow", "Query", `{"KeyConditionExpression":"#0 = :0","ExpressionAttributeValues":{":0":{"S":"P#demo"}}}`, 200},
		{"query of another partition", "POST", table, "narrow", "Query", `{"KeyConditionExpression":"#0 = :0","ExpressionAttributeValues":{":0":{"S":"P#demo2"}}}`, 400},
		{"query of another partition, with a value", "POST", table, "narrow", "Query", `{"KeyConditionExpression":"#0 = :0","ExpressionAttributeValues":{":0":{"S":"P#x"},":1":{"S":"P#demo"}}}`, 400},
		{"item of a partition", "POST", table, "narrow", "GetItem", `{"Key":{"PK":{"S":"T#demo/a"}}}`, 200},
		{"item of another partition", "POST", table, "narrow", "GetItem", `{"Key":{"PK":{"S":"T#shop/a"}}}`, 400},
		{"item of another partition, with a value", "POST", table, "narrow", "GetItem", `{"Key":{"PK":{"S":"K"}},"ExpressionAttributeValues":{":0":{"S":"T#demo/a"}}}`, 400},
		{"item of the admin password", "POST", table, "wide", "GetItem", `{"Key":{"PK":{"S":"A"}}}`, 400},
		{"item of the admin password, with the right", "POST", table, "admin", "GetItem", `{"Key":{"PK":{"S":"A"}}}`, 200},
		{"query of the admin password", "POST", table, "wide", "Query", `{"KeyConditionExpression":"#0 = :0","ExpressionAttributeValues":{":0":{"S":"A"}}}`, 400},
		{"put of the admin password", "POST", table, "wide", "PutItem", `{"Item":{"PK":{"S":"A"}}}`, 400},
		{"put of another item with this text", "POST", table, "wide", "PutItem", `{"Item":{"PK":{"S":"P#a"},"name":{"S":"A"}}}`, 200},
		{"method of @connections", "POST", post, "wide", "", ``, 200},
		{"other method of @connections", "DELETE", post, "wide", "", ``, 403},
		{"@connections without rights", "POST", post, "narrow", "", ``, 403},
		{"event", "POST", bus, "wide", "PutEvents", `{"Entries":[{"Source":"centrifuge","DetailType":"message"}]}`, 200},
		{"other event", "POST", bus, "wide", "PutEvents", `{"Entries":[{"Source":"centrifuge","DetailType":"message"},{"Source":"centrifuge","DetailType":"x"}]}`, 400},
		{"event without rights", "POST", bus, "narrow", "PutEvents", `{"Entries":[{"Source":"centrifuge","DetailType":"message"}]}`, 400},
		{"other action of EventBridge", "POST", bus, "wide", "PutRule", `{}`, 400},
		{"invocation", "POST", invoke, "wide", "", `{}`, 200},
		{"invocation of another function", "POST", "/lambda/2015-03-31/functions/admin/invocations", "wide", "", `{}`, 403},
		{"invocation without rights", "POST", invoke, "narrow", "", `{}`, 403},
		{"other action of Lambda", "POST", "/lambda/2015-03-31/functions", "wide", "", `{}`, 403},
		{"unknown function", "POST", post, "unknown", "", ``, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			if got := r.ask(t, tt.method, tt.path, tt.function+".1", tt.action, tt.body); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
			service, rest, _ := strings.Cut(strings.TrimPrefix(tt.path, "/"), "/")
			if rest != "" || service == "dynamodb" {
				rest = "/" + rest
			}
			var want []string
			if tt.status == 200 {
				want = []string{service + " " + rest}
			}
			if diff := cmp.Diff(want, r.served); diff != "" {
				t.Errorf("served (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  iam.Fault
		served []string
		killed []string
		status int
	}{
		{"none", iam.None, []string{"dynamodb /"}, nil, 200},
		{"refuse", iam.Refuse, nil, nil, 400},
		{"throttle", iam.Throttle, nil, nil, 400},
		{"fail", iam.Fail, nil, nil, 500},
		{"lose", iam.Lose, []string{"dynamodb /"}, nil, 0},
		{"kill before", iam.KillBefore, nil, []string{"wide.2"}, 0},
		{"kill after", iam.KillAfter, []string{"dynamodb /"}, []string{"wide.2"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []iam.Request
			r := newRig(t, func(q iam.Request) iam.Fault {
				got = append(got, q)
				return tt.fault
			})
			if status := r.ask(t, http.MethodPost, "/dynamodb", "wide.2", "Query", `{}`); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			r.server.Close() // it waits for the handler
			want := []iam.Request{{Function: "wide", AccessKeyID: "wide.2", Service: iam.DynamoDB, Action: "Query", Body: []byte(`{}`)}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.served, r.served); diff != "" {
				t.Errorf("served (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.killed, r.killed); diff != "" {
				t.Errorf("killed (-want +got):\n%s", diff)
			}
		})
	}
}
