// Command disconnect is the Lambda behind the WebSocket route $disconnect.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Disconnect(a.Hub, a.Log) })
}
