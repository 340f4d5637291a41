package sdk_test

import (
	"context"
	"testing"

	"github.com/centrifugal/centrifuge-go"

	"centrifuge/localstack/stack"
)

func TestPublishBetweenTwoClients(t *testing.T) {
	s := start(t, stack.Options{})
	ann, bob := client(t, s, "ann"), client(t, s, "bob")
	connected := make(chan centrifuge.ConnectedEvent, 1)
	ann.OnConnected(func(e centrifuge.ConnectedEvent) { connected <- e })
	ann.OnError(func(e centrifuge.ErrorEvent) { t.Log("error", e.Error) })
	ann.OnDisconnected(func(e centrifuge.DisconnectedEvent) { t.Log("disconnected", e) })
	if err := ann.Connect(); err != nil {
		t.Fatal(err)
	}
	if e := got(t, "connected", connected); e.ClientID == "" {
		t.Error("no client id")
	}
	sub, err := ann.NewSubscription("chat:room")
	if err != nil {
		t.Fatal(err)
	}
	subscribed, published := make(chan centrifuge.SubscribedEvent, 1), make(chan centrifuge.PublicationEvent, 10)
	sub.OnSubscribed(func(e centrifuge.SubscribedEvent) { subscribed <- e })
	sub.OnPublication(func(e centrifuge.PublicationEvent) { published <- e })
	sub.OnError(func(e centrifuge.SubscriptionErrorEvent) { t.Log("error", e.Error) })
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	got(t, "subscribed", subscribed)
	if err := bob.Connect(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := bob.Publish(ctx, "chat:room", encode(t, "hello")); err != nil {
		t.Fatal(err)
	}
	p := got(t, "publication", published)
	if string(p.Data) != `"hello"` || p.Info == nil || p.Info.User != "bob" {
		t.Errorf("got %s from %+v", p.Data, p.Info)
	}
	present, err := bob.Presence(ctx, "chat:room")
	if err != nil || len(present.Clients) != 1 {
		t.Errorf("presence %v, %v", present, err)
	}
}

func TestClientWithoutToken(t *testing.T) {
	s := start(t, stack.Options{DefaultProject: "insecure"})
	c := centrifuge.NewJsonClient(s.WebSocketURL, centrifuge.Config{})
	t.Cleanup(c.Close)
	connected := make(chan centrifuge.ConnectedEvent, 1)
	c.OnConnected(func(e centrifuge.ConnectedEvent) { connected <- e })
	c.OnDisconnected(func(e centrifuge.DisconnectedEvent) { t.Log("disconnected", e) })
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	got(t, "connected", connected)
}
