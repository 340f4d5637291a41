// Command connect is the Lambda of the WebSocket route $connect.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.New, func(a *app.App) any { return gateway.Connect(a.Hub, a.Log) })
}
