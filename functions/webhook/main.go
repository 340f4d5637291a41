// Command webhook is the Lambda of the event bus's rule: it posts messages to the
// webhooks of their projects.
package main

import (
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"
)

func main() {
	app.Main(app.Load, func(b *app.Base) any { return gateway.Webhook(b.Store, b.Notifier().Notify, b.Log) })
}
