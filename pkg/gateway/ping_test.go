package gateway_test

import (
	"bytes"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
)

// TestPingConversations lets clients log in to a project with a ping interval, and the schedule come.
func TestPingConversations(t *testing.T) {
	for name, script := range map[string]string{
		"a client answers its pings": `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"ann"}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":180,"pong":true}}
			later 1m
			pings
			later 1m
			pings
			c1 < {}
			c1 > {}
			later 1m
			pings
			later 1m
			pings
			c1 < {}`,
		"a client of the classic protocol gets none": `
			open c1
			c1 > {"id":"1","method":"auth","params":{"project_id":"p","user":"ann","permissions":{},"token":"JWT{"sub":"ann","exp":2000000000}"}}
			c1 < {"ack":true,"id":"1","method":"auth","result":true,"error":null}
			pings
			later 1m
			pings`,
		"a client that has disconnected gets none": `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"ann"}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":180,"pong":true}}
			app disconnect ann
			c1 < {"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}
			c1 closed
			pings
			later 1m
			pings`,
		"a client whose token has ended connects again": `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"ann","exp":1800000210}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":200,"ping":180,"pong":true}}
			later 2m
			pings
			c1 < {}
			later 2m
			pings
			c1 closed`,
		"a client whose end came nearer connects again": `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"ann","exp":1800003600}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":3590,"ping":180,"pong":true}}
			c1 > {"id":2,"refresh":{"token":"JWT{"sub":"ann","exp":1800000060}"}}
			c1 < {"id":2,"refresh":{"client":"c1","version":"centrifuge","expires":true,"ttl":50}}
			later 2m
			pings
			c1 < {}
			c1 > {}
			c1 closed`,
		"a client that has renewed its token stays": `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"ann","exp":1800000210}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":200,"ping":180,"pong":true}}
			later 2m
			pings
			c1 < {}
			c1 > {"id":2,"refresh":{"token":"JWT{"sub":"ann","exp":1800003600}"}}
			c1 < {"id":2,"refresh":{"client":"c1","version":"centrifuge","expires":true,"ttl":3470}}
			later 2m
			pings
			c1 < {}`,
	} {
		t.Run(name, func(t *testing.T) {
			newRig(t, hub.ProjectOptions{PingInterval: hub.Duration(90 * time.Second)}).converse(t, script)
		})
	}
}

// TestPongProlongs has a client that only listens, in a project whose application decides about the
// ends of connections.
func TestPongProlongs(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{
		PingInterval: hub.Duration(time.Minute), ProxyConnectURL: "https://a.example/connect", ProxyRefreshURL: "https://a.example/refresh",
	})
	asked := 0
	r.application = func(q hub.ProxyRequest) (hub.ProxyResult, error) {
		if q.Proxy == hub.RefreshProxy {
			asked++
		}
		switch asked {
		case 2:
			return hub.ProxyResult{}, hub.ErrInternal // no answer: it goes on as it would
		case 4:
			return hub.ProxyResult{Expired: true}, nil
		}
		return hub.ProxyResult{User: "ann", Expires: r.clock().Add(5 * time.Minute)}, nil
	}
	r.converse(t, `
		open c1 ?p
		c1 > {"id":1,"connect":{}}
		c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":120,"pong":true}}
		c1 > {"id":2,"subscribe":{"channel":"chat:x"}}
		c1 < {"id":2,"subscribe":{}}`)
	for minute, want := range []int{0, 0, 1, 1, 1, 2, 3, 3, 3} {
		r.converse(t, `
			later 1m
			pings
			c1 < {}
			c1 > {}
			app publish chat:x 1
			c1 < {"push":{"channel":"chat:x","pub":{"data":1}}}`)
		if asked != want {
			t.Errorf("after minute %d the application was asked %d times, want %d", minute, asked, want)
		}
	}
	r.converse(t, `
		later 1m
		pings
		c1 < {}
		c1 > {}
		c1 closed
		later 1m
		pings`)
}

func TestPingEvents(t *testing.T) {
	for name, c := range map[string]struct {
		detailType, detail string
		err                string
		log                string
	}{
		"a schedule":           {detailType: "Scheduled Event", detail: `{}`},
		"a batch":              {detailType: "pings", detail: `[{"Connection":"c1","Minutes":1},{"Connection":"c2","Minutes":9,"Ends":"2027-01-15T08:00:00Z"}]`},
		"a batch of none":      {detailType: "pings", detail: `[]`},
		"a batch that is none": {detailType: "pings", detail: `{"Connection":"c1"}`, err: "read a batch of pings", log: `level=ERROR msg="pings failed" minute=2027-01-15T08:00:00.000Z`},
		"another event":        {detailType: "message", detail: `{}`, err: `unknown detail type "message"`, log: "level=ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			var log bytes.Buffer
			handle := gateway.Ping(r.hub.Hub, nil, slog.New(slog.NewTextHandler(&log, nil)))
			err := handle(t.Context(), events.EventBridgeEvent{DetailType: c.detailType, Detail: []byte(c.detail), Time: time.Unix(1_800_000_000, 0).UTC()})
			checkFailure(t, err, c.err, nil, log.String(), c.log)
		})
	}
}

// TestPingInLambda invokes the handler as Lambda does, with an event of a schedule that is long past.
func TestPingInLambda(t *testing.T) {
	event, err := os.ReadFile("../../events/ping/schedule.json")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, hub.ProjectOptions{})
	r.store.Requests.Sent()
	handler := lambda.NewHandler(gateway.Ping(r.hub.Hub, nil, slog.New(slog.DiscardHandler)))
	if _, err := handler.Invoke(t.Context(), event); err != nil || r.store.Requests.Sent() != "" {
		t.Errorf("error %v, want none and no request", err)
	}
}
