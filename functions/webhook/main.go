// Command webhook is the Lambda behind the rule of the event bus: it posts messages to the
// webhooks of their projects.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Run(func(a *app.App) any { return gateway.Webhook(a.Store, a.Notifier().Notify, a.Log) })
}
