// Command publish is the Lambda of the server API.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(publisher.New, func(a *publisher.App) any { return gateway.Serve(a.ServerAPI()) })
}
