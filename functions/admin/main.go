// Command admin is the Lambda behind the admin pages and their JSON API.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/app/pages"
	"centrifuge/pkg/app/sending"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Serve(pages.Admin(sending.Equip(a))) })
}
