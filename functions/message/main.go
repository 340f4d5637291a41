// Command message is the Lambda of the WebSocket route $default.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.New, func(a *app.App) any { return gateway.Message(a.Hub, a.Log) })
}
