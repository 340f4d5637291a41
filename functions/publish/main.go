// Command publish is the Lambda behind the server API.
package main

import (
	"log/slog"
	"os"

	"centrifuge/pkg/app"
	"centrifuge/pkg/gateway"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	a, err := app.New(os.Getenv, os.Stderr)
	if err != nil {
		slog.Error("publish cannot start", "error", err)
		os.Exit(1)
	}
	lambda.Start(gateway.Serve(a.ServerAPI()))
}
