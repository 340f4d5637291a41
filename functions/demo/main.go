// Command demo is the Lambda function of the example application.
package main

import (
	"centrifuge/functions/demo/chat"
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.Load, func(b *app.Base) any {
		c := b.Config
		return gateway.Serve(chat.New(chat.Options{
			Project: c.DemoProject, Secret: b.Secret(c.DemoProject), Count: b.Count,
			WebSocketURL: c.WebSocketURL, HTTPURL: c.HTTPURL, SDK: b.SDK, Log: b.Log,
		}))
	})
}
