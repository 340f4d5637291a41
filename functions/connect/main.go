// Command connect is the Lambda behind the WebSocket route $connect.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Connect(a.Hub, a.Log) })
}
