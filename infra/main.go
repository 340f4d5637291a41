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
	stderr := os.Stderr // closeRuntime replaces it
	if err := run(); err != nil {
		fmt.Fprintln(stderr, "infra:", err)
		os.Exit(1)
	}
}

func run() error {
	defer closeRuntime()
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

// closeRuntime ends the Node.js process of jsii. When it ends, two goroutines of jsii
// wait for it, and the one that comes second prints "Runtime process exited abnormally:
// waitid: no child processes" to os.Stderr, although nothing is wrong. Everything
// before, including a runtime that does exit abnormally, is printed.
func closeRuntime() {
	if discard, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = discard
	}
	jsii.Close()
}
