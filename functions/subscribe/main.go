// Command subscribe is the Lambda behind the WebSocket route subscribe.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Subscribe(a.Hub, a.Log) })
}
