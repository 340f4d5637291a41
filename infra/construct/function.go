package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// retries is how often Lambda tries again when an asynchronous invocation fails: after
// one minute and after two more, which is the most it does.
const retries = 2

// IntegrationTimeout is the longest that API Gateway waits for a function, in
// seconds. A function that runs longer answers nobody.
const IntegrationTimeout = 29

// FunctionProps describes a Function. Every field is required unless it says
// otherwise.
type FunctionProps struct {
	// Description tells a reader of the console what this is.
	Description string
	// Code is a directory with an executable named bootstrap, built for
	// Architecture.
	Code string
	// Architecture is what the function runs on.
	Architecture awslambda.Architecture
	// MemoryMB is its memory, from 128 to 10240, and with it its share of CPU: 1769
	// is one whole.
	MemoryMB int
	// Environment is what it finds in its environment.
	Environment map[string]string
	// Grants is all that it may do apart from writing its log; optional.
	Grants []awsiam.PolicyStatement
	// DeadLetters gets the events of asynchronous invocations that failed in every
	// attempt, as they were, with the error as an attribute. Optional: for functions
	// that are invoked asynchronously.
	DeadLetters *DeadLetters
}

// Function is a Lambda written in Go, with a log group and a role of its own.
type Function struct {
	constructs.Construct
	Lambda awslambda.Function
	logs   awslogs.LogGroup
}

// NewFunction makes a function. Its log is kept for a month and goes with the
// stack. X-Ray is off.
func NewFunction(scope constructs.Construct, id *string, props *FunctionProps) *Function {
	this := constructs.NewConstruct(scope, id)

	logs := awslogs.NewLogGroup(this, jsii.String("Logs"), &awslogs.LogGroupProps{
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})

	// Not the managed policy for Lambdas, which lets its holder write to every log
	// of the account.
	grants := append([]awsiam.PolicyStatement{
		allow([]string{"logs:CreateLogStream", "logs:PutLogEvents"}, *logs.LogGroupArn()),
	}, props.Grants...)
	if props.DeadLetters != nil {
		grants = append(grants, props.DeadLetters.allowSend())
	}
	role := awsiam.NewRole(this, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"rights": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &grants}),
		},
	})

	environment := make(map[string]*string, len(props.Environment))
	for name, value := range props.Environment {
		environment[name] = jsii.String(value)
	}
	lambdaProps := &awslambda.FunctionProps{
		Description:  jsii.String(props.Description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: props.Architecture,
		Handler:      jsii.String("bootstrap"),
		Code:         awslambda.Code_FromAsset(jsii.String(props.Code), nil),
		MemorySize:   jsii.Number(props.MemoryMB),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(IntegrationTimeout)),
		Environment:  &environment,
		// CDK would grant in a policy of its own what it thinks is needed.
		Role:     role.WithoutPolicyUpdates(nil),
		LogGroup: logs,
	}
	if props.DeadLetters != nil {
		// A queue for the events and not a destination for the records of invocations:
		// EventBridge, which cannot do the latter, leaves the same events in it.
		lambdaProps.DeadLetterQueue = props.DeadLetters.queue
		lambdaProps.RetryAttempts = jsii.Number(retries)
	}
	return &Function{
		Construct: this,
		Lambda:    awslambda.NewFunction(this, jsii.String("Lambda"), lambdaProps),
		logs:      logs,
	}
}

// Metric is a metric of this function, such as "Duration".
func (f *Function) Metric(name, statistic string) awscloudwatch.Metric {
	return metric("AWS/Lambda", name, statistic, *f.Node().Id(), map[string]*string{"FunctionName": f.Lambda.FunctionName()})
}

// CountFailures adds to a metric, which functions may share, one for every line of
// the log that tells of an error: those that the function wrote as one, and those
// in which Lambda reports that it failed or ran out of time.
func (f *Function) CountFailures(namespace, name string) {
	awslogs.NewMetricFilter(f.Construct, jsii.String("Failures"), &awslogs.MetricFilterProps{
		LogGroup:        f.logs,
		FilterPattern:   awslogs.FilterPattern_AnyTerm(jsii.String("ERROR"), jsii.String("Status: error"), jsii.String("Status: timeout")),
		MetricNamespace: jsii.String(namespace),
		MetricName:      jsii.String(name),
	})
}
