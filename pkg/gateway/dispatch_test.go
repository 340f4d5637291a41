package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
)

// inInvocation is the context of an invocation.
func inInvocation(ctx context.Context, request string) context.Context {
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: request})
}

func TestDispatch(t *testing.T) {
	const event = `{"Project":"demo","Category":"chat","Incarnation":"5","Name":"confidential"}`
	const noChannel, channelError = "the event is not a channel of a project", `level=ERROR msg="event without channel" error="the event is not a channel of a project"`
	for name, c := range map[string]struct {
		event, request string
		fails          error // of dispatch
		dispatched     hub.Channel
		err            string // "" for none
		log            string // part of the one line of the log, "" for no line
	}{
		"a channel": {
			event: event, request: "r1", dispatched: hub.Channel{Project: "demo", Category: "chat", Incarnation: "5", Name: "confidential"},
		},
		"a channel without an incarnation": {
			event: `{"Project":"demo","Category":"chat","Name":"a <&> é"}`, request: "r1",
			dispatched: hub.Channel{Project: "demo", Category: "chat", Name: "a <&> é"},
		},
		"a dispatch that fails": {
			event: `{"Project":"demo","Category":"chat","Name":"lobby"}`, request: "r1", fails: errors.New("the table is missing"),
			dispatched: hub.Channel{Project: "demo", Category: "chat", Name: "lobby"}, err: "the table is missing",
			log: `level=ERROR msg="dispatch failed" project=demo channel=chat:lobby error="the table is missing"`,
		},
		"an invocation without a request id": {event: event, err: "the invocation has no request id"},
		"an event without a project":         {event: `{"Category":"chat","Name":"confidential"}`, request: "r1", err: noChannel, log: channelError},
		"an event without a name":            {event: `{"Project":"demo","Category":"confidential"}`, request: "r1", err: "the event is not a channel: bad request", log: "level=ERROR"},
		"an event with an unknown field":     {event: `{"Project":"demo","Category":"chat","Name":"confidential","Slice":1}`, request: "r1", err: noChannel, log: channelError},
		"an event that is no object":         {event: `["confidential"]`, request: "r1", err: noChannel, log: channelError},
		"an event that is null":              {event: `null`, request: "r1", err: noChannel, log: channelError},
		"an event that is not UTF-8":         {event: "{\"Project\":\"demo\",\"Category\":\"chat\",\"Name\":\"confidential\xff\"}", request: "r1", err: noChannel, log: channelError},
		"an event with more than a value":    {event: event + `{}`, request: "r1", err: noChannel, log: channelError},
		"an empty event":                     {event: ``, request: "r1", err: noChannel, log: channelError},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			var dispatched hub.Channel
			handle := gateway.Dispatch(func(_ context.Context, ch hub.Channel, request string) error {
				if request != c.request {
					t.Errorf("request %s, want %s", request, c.request)
				}
				dispatched = ch
				return c.fails
			}, slog.New(slog.NewTextHandler(&log, nil)))
			ctx := t.Context()
			if c.request != "" {
				ctx = inInvocation(ctx, c.request)
			}
			err := handle(ctx, json.RawMessage(c.event))
			checkFailure(t, err, c.err, c.fails, log.String(), c.log)
			if d := cmp.Diff(c.dispatched, dispatched); d != "" {
				t.Error(d)
			}
		})
	}
}

// checkFailure checks what became of an event: the beginning of the error, which is cause or
// wraps it, and the one line of the log, or none. Neither holds the event.
func checkFailure(t *testing.T, err error, begins string, cause error, log, holds string) {
	t.Helper()
	if begins == "" && err != nil || begins != "" && (err == nil || !strings.HasPrefix(err.Error(), begins)) {
		t.Errorf("error is %v", err)
	}
	if cause != nil && !errors.Is(err, cause) {
		t.Errorf("error is %v", err)
	}
	if lines := strings.Count(log, "\n"); !strings.Contains(log, holds) || (lines > 0) != (holds != "") || lines > 1 {
		t.Errorf("logged: %s", log)
	}
	if strings.Contains(log, "confidential") || err != nil && strings.Contains(err.Error(), "confidential") {
		t.Errorf("the log or the error holds the event: %s, %v", log, err)
	}
}

// TestDispatchInLambda invokes the handler as Lambda does, with an event of a function that
// publishes.
func TestDispatchInLambda(t *testing.T) {
	event, err := os.ReadFile("../../events/dispatch/channel.json")
	if err != nil {
		t.Fatal(err)
	}
	var dispatched hub.Channel
	handler := lambda.NewHandler(gateway.Dispatch(func(_ context.Context, ch hub.Channel, _ string) error {
		dispatched = ch
		return nil
	}, slog.New(slog.DiscardHandler)))
	if _, err := handler.Invoke(inInvocation(t.Context(), "r1"), event); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hub.Channel{Project: "demo", Category: "live", Name: "lobby"}, dispatched); diff != "" {
		t.Error(diff)
	}
}

// FuzzDispatch checks that an event which is taken is a channel, and is one again when it is
// encoded as a function that publishes does.
func FuzzDispatch(f *testing.F) {
	for _, event := range []string{`{"Project":"demo","Category":"chat","Incarnation":"5","Name":"lobby"}`, `{"project":"a","NAME":"\ud800","Category":"b"}`, `[]`, `null`, `{"Name":1}`, ``} {
		f.Add([]byte(event))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		dispatch := func(event []byte) (ch hub.Channel, taken bool) {
			err := gateway.Dispatch(func(_ context.Context, got hub.Channel, _ string) error {
				ch = got
				return nil
			}, slog.New(slog.DiscardHandler))(inInvocation(t.Context(), "r1"), event)
			return ch, err == nil
		}
		ch, taken := dispatch(event)
		if !taken {
			return
		}
		if ch.Project == "" || ch.Validate() != nil {
			t.Fatalf("%q is taken as %+v", event, ch)
		}
		encoded, err := json.Marshal(ch)
		if err != nil {
			t.Fatal(err)
		}
		if again, taken := dispatch(encoded); !taken || again != ch {
			t.Fatalf("%q is taken as %+v, and encoded as %q as %+v, %v", event, ch, encoded, again, taken)
		}
	})
}
