// Command message is the Lambda behind the WebSocket route $default.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"centrifuge/pkg/gateway"
)

func main() {
	lambda.Start(gateway.Message())
}
