// Command infra is the CDK app. It reads the options of a deployment from the CDK
// context and writes a CloudFormation template of the stack in infra/stack.
// `make synth` and `make deploy` run it.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/infra/stack"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

func run() error {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	options, err := stack.ReadOptions(func(key string) any {
		return app.Node().TryGetContext(jsii.String(key))
	})
	if err != nil {
		return err
	}
	if _, err := stack.New(app, options); err != nil {
		return err
	}
	app.Synth(nil)
	return nil
}
