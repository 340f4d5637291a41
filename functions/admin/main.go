// Command admin is the Lambda of the admin pages and their JSON API.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/console"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(publisher.New, func(a *publisher.App) any { return gateway.Serve(console.Handler(a)) })
}
