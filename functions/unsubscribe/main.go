// Command unsubscribe is the Lambda behind the WebSocket route unsubscribe.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Unsubscribe(a.Hub, a.Log) })
}
