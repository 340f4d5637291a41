// Package sending completes an application for the functions that send what clients
// and applications say: with the event bus, and the cleaning of HTML.
//
// It is apart from package app because both cost milliseconds at the start of every
// process that links them.
package sending

import (
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"centrifuge/pkg/app"
	"centrifuge/pkg/eventbus"
	"centrifuge/pkg/protocol/classic"
	"centrifuge/pkg/sanitizer"
)

// Equip gives a's hub what it needs to send messages, and returns a. Without the name
// of a bus in the configuration there are no event hooks. It must come before anything
// is sent.
func Equip(a *app.App) *app.App {
	a.Hub.Clean = sanitizer.Clean
	if a.Config.EventBus == "" {
		return a
	}
	a.Hub.Hooks = eventbus.New(eventbus.Options{
		Client: eventbridge.NewFromConfig(a.Cloud, func(o *eventbridge.Options) {
			if a.Config.EventBridgeEndpoint != "" {
				o.BaseEndpoint = &a.Config.EventBridgeEndpoint
			}
		}),
		Bus: a.Config.EventBus, Encode: classic.Push, Log: a.Log,
	})
	return a
}
