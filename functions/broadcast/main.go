// Command broadcast is the Lambda of the WebSocket route broadcast.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(publisher.New, func(a *publisher.App) any { return gateway.Broadcast(a.Hub, a.Log) })
}
