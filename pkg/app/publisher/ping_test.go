package publisher_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// TestPingBill adds up what DynamoDB bills for a client that gets pings, and for the schedule.
func TestPingBill(t *testing.T) {
	p := newPlant(t)
	q := p.process(t)
	err := q.Store.PutProject(t.Context(), &hub.Project{
		ID: "pinged", Name: "n", Secret: "s", Options: hub.ProjectOptions{Insecure: true, PingInterval: hub.Duration(time.Minute)},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	err = storetest.Enter(t.Context(), q.Store, hub.Connection{
		ID: "quiet", Expires: now.Add(time.Hour), Project: "pinged", User: "ann", Protocol: hub.Centrifugo, PingMinutes: 1,
		Channels: map[hub.Channel]int{{Project: "pinged", Category: "news", Name: "x"}: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	sweep := func() error {
		return q.Hub.SendDuePings(t.Context(), now, func(context.Context, []hub.Ping) error { return fmt.Errorf("more than one batch") })
	}
	cmd := hub.Command{Connection: "c"}
	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"a schedule that finds nothing reads 32 times half a unit", sweep, "pings 16 read (32 Query)"},
		{"a handshake writes one unit", func() error {
			return q.Hub.Connect(t.Context(), hub.Handshake{Connection: "c", Project: "pinged"})
		}, "connection 1 written (1 PutItem)"},
		{"a login writes one unit more", func() error {
			s, err := q.Hub.Session(t.Context(), cmd, 1, true)
			if err != nil {
				return err
			}
			in, err := s.Login(t.Context(), hub.Login{Number: 1})
			if err == nil && in.Ping != 2*time.Minute {
				err = fmt.Errorf("pings are expected after %v", in.Ping)
			}
			return err
		}, "connection 2 written (2 UpdateItem); pings 1 written (1 PutItem)"},
		{"a pong writes one unit", func() error {
			_, _, err := q.Hub.Speaks(t.Context(), hub.Command{Connection: "quiet"})
			return err
		}, "connection 1 written (1 UpdateItem)"},
		{"a ping is read with others", sweep, "pings 16 read (32 Query)"},
		{"a disconnect writes one unit more", func() error { return q.Hub.Disconnect(t.Context(), "c", hub.Ending{}) }, "connection 1 written (1 UpdateItem); pings 2 written (1 BatchWriteItem)"},
		{"a schedule with 1,000 pings reads half a unit for each 4 KB of a slot", func() error {
			var g errgroup.Group
			g.SetLimit(16)
			for n := range 1000 {
				g.Go(func() error {
					return q.Store.PutPing(t.Context(), hub.Ping{Connection: fmt.Sprintf("L%04dcOFvHcCIhw=", n), Minutes: 1}, now.Add(time.Hour))
				})
			}
			if err := g.Wait(); err != nil {
				return err
			}
			q.billed()
			return sweep()
		}, "pings 20 read (32 Query)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q.billed()
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			if got, _ := q.billed(); got != c.want {
				t.Errorf("billed %s, want %s", got, c.want)
			}
		})
	}
}
