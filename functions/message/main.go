// Command message is the Lambda behind the WebSocket route $default.
package main

import (
	"centrifuge/pkg/gateway"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(gateway.Message())
}
