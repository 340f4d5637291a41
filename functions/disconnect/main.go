// Command disconnect is the Lambda of the WebSocket route $disconnect.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.New, func(a *app.App) any { return gateway.Disconnect(a.Hub, a.Log) })
}
