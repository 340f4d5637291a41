// Package construct has the parts of the stack: a function, a WebSocket API, an HTTP
// API, a table, an event bus, a dead-letter queue, custom domains, alarms
// and a dashboard. Each is configured as every use of it needs.
//
// It knows AWS and CDK, and nothing of Centrifuge: functions and their rights are
// arguments. A construct makes the policy statements about its own resource, so that
// actions and resources stay together, and knows the dimensions of its metrics.
//
// A construct that is misused panics, as CDK does.
package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// allow is a policy statement that allows actions on resources.
func allow(actions []string, resources ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: jsii.Strings(resources...),
	})
}
