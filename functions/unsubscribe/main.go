// Command unsubscribe is the Lambda of the WebSocket route unsubscribe.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.New, func(a *app.App) any { return gateway.Unsubscribe(a.Hub, a.Log) })
}
