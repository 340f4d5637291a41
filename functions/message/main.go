// Command message is the Lambda of the WebSocket route $default.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(publisher.New, func(a *publisher.App) any { return gateway.Message(a.Hub, a.Log) })
}
