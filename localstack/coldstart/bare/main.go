// Command bare is a bootstrap that does nothing. Its start is what any Lambda in Go takes on a
// machine.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
