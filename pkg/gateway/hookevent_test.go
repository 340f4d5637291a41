package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

// TestBillOfEvents counts what the options about events add to what TestBill counts, which has
// hooks too: the units and requests of DynamoDB, and the events that are put.
func TestBillOfEvents(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{DisconnectEvents: true})
	for _, c := range []hub.Category{
		{Name: "left", CategoryOptions: hub.CategoryOptions{UnsubscribeEvents: true}},
		{Name: "used", CategoryOptions: hub.CategoryOptions{OccupancyEvents: true}},
		{Name: "wide", CategoryOptions: hub.CategoryOptions{OccupancyEvents: true, Shards: 4}},
	} {
		if err := r.store.PutCategory(t.Context(), projectID, c); err != nil {
			t.Fatal(err)
		}
	}
	const connect = `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`
	subscribe := func(ch string) string { return `{"id":2,"subscribe":{"channel":"` + ch + `"}}` }
	unsubscribe := func(ch string) string { return `{"id":3,"unsubscribe":{"channel":"` + ch + `"}}` }
	for i, c := range []struct {
		name   string
		others bool // another connection is subscribed already
		before []string
		frame  string // "" for the end of the connection
		bill   string
		events string
	}{
		{"subscribe, with unsubscribe_events", false, []string{connect}, subscribe("left:N"), "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", ""},
		{"unsubscribe, with unsubscribe_events", false, []string{connect, subscribe("left:N")}, unsubscribe("left:N"), "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", "unsubscribe"},
		{"end of a connection, with disconnect_events", false, []string{connect}, "", "3 written, 0 read (1 BatchWriteItem, 1 UpdateItem)", "disconnect"},
		{"end of a connection, with both", false, []string{connect, subscribe("left:N")}, "", "4 written, 0 read (1 BatchWriteItem, 1 UpdateItem)", "unsubscribe disconnect"},
		{"first subscribe, with occupancy_events", false, []string{connect}, subscribe("used:N"), "7 written, 2 read (2 Query, 1 TransactWriteItems, 3 UpdateItem)", "occupied"},
		{"another subscribe, with occupancy_events", true, []string{connect}, subscribe("used:N"), "6 written, 0 read (1 TransactWriteItems, 2 UpdateItem)", ""},
		{"unsubscribe, with occupancy_events", true, []string{connect, subscribe("used:N")}, unsubscribe("used:N"), "5 written, 2 read (2 Query, 1 TransactWriteItems, 1 UpdateItem)", ""},
		{"last unsubscribe, with occupancy_events", false, []string{connect, subscribe("used:N")}, unsubscribe("used:N"), "6 written, 2 read (2 Query, 1 TransactWriteItems, 2 UpdateItem)", "vacated"},
		{"last unsubscribe, with four shards", false, []string{connect, subscribe("wide:N")}, unsubscribe("wide:N"), "6 written, 5 read (5 Query, 1 TransactWriteItems, 2 UpdateItem)", "vacated"},
		{
			"refresh, with occupancy_events", false, []string{`{"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800003000}"}}`, subscribe("used:N")},
			`{"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800003600}"}}`, "6 written, 1 read (1 Query, 1 TransactWriteItems, 2 UpdateItem)", "",
		},
		{
			"sub_refresh, with occupancy_events", false, []string{connect, subscribe(`used:N","token":"JWT{"sub":"u1","channel":"used:N","exp":1800003000}`)},
			`{"id":3,"sub_refresh":{"channel":"used:N","token":"JWT{"sub":"u1","channel":"used:N","exp":1800003600}"}}`, "3 written, 1 read (1 Query, 3 UpdateItem)", "",
		},
		{
			"refresh, with unsubscribe_events", false, []string{`{"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800003000}"}}`, subscribe("left:N")},
			`{"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800003600}"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection := fmt.Sprintf("c%d", i)
			send := func(connection, frame string) {
				r.advance(time.Second) // the debt of the frame before is paid
				r.send(t, connection, signed(t, secret, strings.ReplaceAll(frame, ":N", fmt.Sprintf(":n%d", i))))
			}
			if c.others {
				r.open(t, "o"+connection, projectID, "")
				send("o"+connection, connect)
				send("o"+connection, subscribe("used:N"))
			}
			r.open(t, connection, projectID, "")
			for _, frame := range c.before {
				send(connection, frame)
			}
			b := &bill{requests: make(map[string]int)}
			r.store.Requests.Intercept, r.emitted = b.intercept, nil
			if c.frame != "" {
				send(connection, c.frame)
			} else {
				e := event("$disconnect", connection, "")
				e.RequestContext.EventType, e.RequestContext.DisconnectStatusCode = "DISCONNECT", 1001
				if _, err := r.routes["$disconnect"](t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			r.store.Requests.Intercept = nil
			r.take()
			if events := strings.Join(r.emitted, " "); b.String() != c.bill || events != c.events {
				t.Errorf("billed %s and the events %q, want %s and %q", b, events, c.bill, c.events)
			}
		})
	}
}

// TestOccupiedByLateRenewal renews a subscription in time, by the clock of its invocation, and lets
// it end and its channel be vacated before that is written.
func TestOccupiedByLateRenewal(t *testing.T) {
	for _, tt := range []struct{ name, connect, subscribe, renew, write string }{
		{
			"refresh", `{"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800000060}"}}`, `{"id":2,"subscribe":{"channel":"used:x"}}`,
			`{"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800000600}"}}`, "TransactWriteItems",
		},
		{
			"sub_refresh", `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`,
			`{"id":2,"subscribe":{"channel":"used:x","token":"JWT{"sub":"u1","channel":"used:x","exp":1800000060}"}}`,
			`{"id":3,"sub_refresh":{"channel":"used:x","token":"JWT{"sub":"u1","channel":"used:x","exp":1800000600}"}}`, "UpdateItem",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.category(t, "used", hub.CategoryOptions{OccupancyEvents: true})
			r.open(t, "c1", projectID, "")
			r.open(t, "c2", projectID, "")
			r.send(t, "c1", signed(t, secret, tt.connect))
			r.send(t, "c1", signed(t, secret, tt.subscribe))
			r.send(t, "c2", signed(t, secret, `{"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}`))
			r.send(t, "c2", `{"id":2,"subscribe":{"channel":"used:x"}}`)
			r.store.Requests.Intercept = func(operation string, q *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(q.Body)
				if err != nil {
					return nil, err
				}
				q.Body = io.NopCloser(bytes.NewReader(body))
				if operation == tt.write && bytes.Contains(body, []byte(`"S#`)) {
					r.store.Requests.Intercept = nil
					r.advance(2 * time.Minute)
					r.send(t, "c2", `{"id":3,"unsubscribe":{"channel":"used:x"}}`)
				}
				return nil, nil
			}
			r.send(t, "c1", signed(t, secret, tt.renew))
			r.store.Requests.Intercept = nil
			if events := strings.Join(r.emitted, " "); events != "occupied vacated occupied" {
				t.Errorf("events %q: %s", events, r.take())
			}
		})
	}
}
