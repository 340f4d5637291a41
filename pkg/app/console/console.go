// Package console builds the admin pages and their JSON API over an application that
// publishes.
//
// It is apart from package app because templates and password hashing cost time and size
// in every function that links them.
package console

import (
	"context"
	"net/http"

	"centrifuge/pkg/admin"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/serverapi"
)

// Handler returns the handler of the admin pages and their JSON API.
func Handler(a *publisher.App) http.Handler {
	return admin.New(admin.Options{
		Hub: a.Hub.Hub, Store: a.Store, Attempts: a.Store.Tally, Password: a.Store.AdminPassword,
		Call: func(ctx context.Context, p *hub.Project, method string, body []byte) (int, []byte) {
			return serverapi.Call(ctx, a.Hub, a.Log, p, method, body)
		},
		WebSocketURL: a.Config.WebSocketURL, HTTPURL: a.Config.HTTPURL, SDK: a.SDK, Log: a.Log,
	})
}
