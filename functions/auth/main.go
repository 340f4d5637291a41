// Command auth is the Lambda of the WebSocket route auth.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.New, func(a *app.App) any { return gateway.Auth(a.Hub, a.Log) })
}
