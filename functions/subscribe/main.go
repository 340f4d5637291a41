// Command subscribe is the Lambda of the WebSocket route subscribe.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.New, func(a *app.App) any { return gateway.Subscribe(a.Hub, a.Log) })
}
