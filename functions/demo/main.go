// Command demo is the Lambda function of the example application.
package main

import (
	"centrifuge/functions/demo/chat"
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any {
		c := a.Config
		return gateway.Serve(chat.New(chat.Options{
			Project: c.DemoProject, Secret: a.Secret(c.DemoProject), Count: a.Count,
			WebSocketURL: c.WebSocketURL, HTTPURL: c.HTTPURL, Log: a.Log,
		}))
	})
}
