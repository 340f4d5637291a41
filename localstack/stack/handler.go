package stack

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/functions"
	"centrifuge/functions/demo/chat"
	"centrifuge/localstack/gateway"
	"centrifuge/pkg/app/console"
	"centrifuge/pkg/app/publisher"
	lambdas "centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
)

// handlers are the handlers that the main packages of functions/ start. invokePing invokes the
// function that sends pings.
func handlers(a *publisher.App, invokePing func(context.Context, []byte) error) map[string]gateway.Function {
	hook, dispatch := lambdas.Webhook(a.Store, a.Notifier().Notify, a.Log), lambdas.Dispatch(a.Hub.DispatchStream, a.Log)
	ping := lambdas.Ping(a.Hub.Hub, invokePing, a.Log)
	return map[string]gateway.Function{
		"connect":     gateway.NewFunction(lambdas.Connect(a.Hub.Hub, a.Log)),
		"disconnect":  gateway.NewFunction(lambdas.Disconnect(a.Hub.Hub, a.Log)),
		"auth":        gateway.NewFunction(lambdas.Auth(a.Hub.Hub, a.Log)),
		"subscribe":   gateway.NewFunction(lambdas.Subscribe(a.Hub.Hub, a.Log)),
		"unsubscribe": gateway.NewFunction(lambdas.Unsubscribe(a.Hub.Hub, a.Log)),
		"broadcast":   gateway.NewFunction(lambdas.Broadcast(a.Hub, a.Log)),
		"message":     gateway.NewFunction(lambdas.Message(a.Hub, a.Log)),
		"publish":     gateway.NewFunction(lambdas.Serve(a.ServerAPI())),
		"admin":       gateway.NewFunction(lambdas.Serve(console.Handler(a))),
		"webhook": gateway.NewFunction(func(ctx context.Context, e events.EventBridgeEvent) (any, error) {
			return nil, hook(ctx, e)
		}),
		functions.Ping: gateway.NewFunction(func(ctx context.Context, e events.EventBridgeEvent) (any, error) {
			return nil, ping(ctx, e)
		}),
		functions.Dispatch: gateway.NewFunction(func(ctx context.Context, event json.RawMessage) (any, error) {
			return nil, dispatch(ctx, event)
		}),
		"demo": gateway.NewFunction(lambdas.Serve(chat.New(chat.Options{
			Project: a.Config.DemoProject, Secret: a.Secret(a.Config.DemoProject), Count: a.Count,
			WebSocketURL: a.Config.WebSocketURL, HTTPURL: a.Config.HTTPURL, SDK: a.SDK, Log: a.Log,
		}))),
	}
}

// answerFirst returns functions that answer and then do the work that the hub left for
// later, as app.Main does. Close waits for this work.
func (s *Stack) answerFirst(functions map[string]gateway.Function) map[string]gateway.Function {
	all := make(map[string]gateway.Function, len(functions))
	for name, f := range functions {
		all[name] = gateway.FunctionFunc(func(ctx context.Context, event []byte) ([]byte, error) {
			ctx, later := hub.WithLater(ctx)
			response, err := f.Invoke(ctx, event)
			s.later.Go(later)
			return response, err
		})
	}
	return all
}
