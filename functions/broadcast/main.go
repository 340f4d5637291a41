// Command broadcast is the Lambda behind the WebSocket route broadcast.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/sending"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Broadcast(sending.Equip(a).Hub, a.Log) })
}
