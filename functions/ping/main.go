// Command ping is the Lambda of the schedule: every minute it sends the pings that are due.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.NewPinger, func(p *app.Pinger) any { return gateway.Ping(p.Hub, p.Function.InvokeWith, p.Log) })
}
