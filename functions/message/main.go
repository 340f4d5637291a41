// Command message is the Lambda behind the WebSocket route $default.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Message(a.Hub, a.Log) })
}
