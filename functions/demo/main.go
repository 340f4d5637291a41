// Command demo is the Lambda of the example application.
package main

import (
	"log/slog"
	"os"

	"centrifuge/functions/demo/chat"
	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	a, err := app.New(os.Getenv, os.Stderr)
	if err != nil {
		slog.Error("demo cannot start", "error", err)
		os.Exit(1)
	}
	c := a.Config
	lambda.Start(gateway.Serve(chat.New(chat.Options{Project: c.DemoProject, Secret: a.Secret(c.DemoProject),
		WebSocketURL: c.WebSocketURL, HTTPURL: c.HTTPURL, Log: a.Log})))
}
