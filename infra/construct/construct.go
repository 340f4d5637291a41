// Package construct is what the stack is made of: a function, a WebSocket API, an
// HTTP API, a table, an event bus, a queue of dead letters, a secret, host names,
// alarms and a dashboard, each with the decisions that hold wherever one is used.
//
// It knows AWS and CDK, and nothing of Centrifuge: which functions there are and
// who may do what is the business of package stack. Whoever owns a resource makes
// the policy statements about it, so that actions and resources stay together, and
// knows the dimensions of its metrics.
//
// A construct that is misused panics, as everything in CDK does: there is nobody
// but the person at the keyboard to tell.
package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// allow is a statement that lets its holder take actions on resources.
func allow(actions []string, resources ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: jsii.Strings(resources...),
	})
}
