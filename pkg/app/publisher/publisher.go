// Package publisher builds the application of functions that publish messages: with streams and
// with the cleaning of HTML.
//
// It is apart from package app because both cost time at the start of every process that
// links them.
package publisher

import (
	"fmt"
	"io"
	"net/http"

	"centrifuge/pkg/app"
	"centrifuge/pkg/config"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/sanitizer"
	"centrifuge/pkg/serverapi"
)

// App is the application of functions that publish.
type App struct {
	*app.Base
	Hub *hub.Publisher
}

// New builds an App, as app.Load does its Base.
func New(getenv func(string) string, w io.Writer) (*App, error) {
	b, err := app.Load(getenv, w)
	if err != nil {
		return nil, err
	}
	o, err := Options(b)
	if err != nil {
		return nil, err
	}
	h, err := hub.NewPublisher(o)
	if err != nil {
		return nil, err
	}
	return &App{b, h}, nil
}

// Options are the parts of a hub that publishes.
func Options(b *app.Base) (hub.PublisherOptions, error) {
	o, err := b.HubOptions()
	if err != nil {
		return hub.PublisherOptions{}, err
	}
	streams, err := streams(b)
	return hub.PublisherOptions{Options: o, Streams: streams, Clean: sanitizer.Clean}, err
}

func streams(b *app.Base) (hub.StreamDispatcher, error) {
	f, err := delivery.NewFunction(delivery.FunctionOptions{
		Name: b.Config.DispatchFunction, Region: b.Cloud.Region, Credentials: b.Cloud.Credentials, Endpoint: b.Config.LambdaEndpoint,
		HTTP: b.Cloud.HTTPClient,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config.DispatchFunction, err)
	}
	return delivery.NewLeased(delivery.LeasedOptions{Streams: b.Store, Invoker: f, Log: b.Log}), nil
}

// ServerAPI returns the handler of the server API.
func (a *App) ServerAPI() http.Handler {
	return serverapi.New(serverapi.Options{Hub: a.Hub, Projects: a.Store, APIKeys: a.Store, Log: a.Log})
}
