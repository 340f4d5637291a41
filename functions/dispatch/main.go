// Command dispatch is the Lambda that other functions invoke asynchronously: it dispatches
// the stream of a busy channel.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(publisher.New, func(a *publisher.App) any { return gateway.Dispatch(a.Hub.DispatchStream, a.Log) })
}
