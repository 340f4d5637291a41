package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// ScheduleProps describes a Schedule. Every field is required.
type ScheduleProps struct {
	// Expression is when the function is invoked, such as "cron(* * * * ? *)" for every minute.
	Expression string
	// Function is invoked asynchronously.
	Function *Function
}

// NewSchedule makes a schedule: a rule on the default bus of the account. EventBridge may come a
// minute late, and may invoke twice. A schedule of EventBridge Scheduler would need a role that
// invokes the function, and its event tells the minute only where it is asked to.
func NewSchedule(scope constructs.Construct, id *string, props *ScheduleProps) {
	awsevents.NewRule(scope, id, &awsevents.RuleProps{
		Schedule: awsevents.Schedule_Expression(jsii.String(props.Expression)),
		Targets: &[]awsevents.IRuleTarget{awseventstargets.NewLambdaFunction(props.Function.Lambda, &awseventstargets.LambdaFunctionProps{
			// The next event follows. The default is a day.
			MaxEventAge: awscdk.Duration_Minutes(jsii.Number(1)),
		})},
	})
}
