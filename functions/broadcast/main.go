// Command broadcast is the Lambda behind the WebSocket route broadcast.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Broadcast(a.Hub, a.Log) })
}
