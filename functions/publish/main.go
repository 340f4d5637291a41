// Command publish is the Lambda behind the server API.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/sending"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Serve(sending.Equip(a).ServerAPI()) })
}
