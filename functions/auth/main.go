// Command auth is the Lambda behind the WebSocket route auth.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Auth(a.Hub, a.Log) })
}
