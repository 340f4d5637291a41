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

// retries is how often Lambda retries an asynchronous invocation: after one minute,
// then after two. It is the maximum.
const retries = 2

// IntegrationTimeout is how long API Gateway waits for a function, in seconds. It is
// the timeout of functions too, because API Gateway drops a later response.
const IntegrationTimeout = 29

// FunctionProps describes a Function. Every field is required unless it says
// otherwise.
type FunctionProps struct {
	// Name is its name, unique in the account and region, at most 64 bytes long. Optional:
	// without it CloudFormation makes one.
	Name string
	// Description is shown in the console.
	Description string
	// Code is a directory with an executable named bootstrap, built for
	// Architecture.
	Code string
	// Architecture is the CPU architecture of the function.
	Architecture awslambda.Architecture
	// MemoryMB is its memory, from 128 to 10240. The share of a CPU grows with it: 1769
	// is one CPU.
	MemoryMB int
	// ReservedConcurrency is the number of concurrent executions that it has for itself and
	// cannot exceed; 0 for none, so that it shares those of the account.
	ReservedConcurrency int
	// Environment are its environment variables.
	Environment map[string]string
	// Grants are its rights, except writing its own log; optional.
	Grants []awsiam.PolicyStatement
	// InvokesItself is set for a function that invokes itself, as long as there is work. Lambda
	// otherwise stops what it takes for a loop, after 16 invocations.
	InvokesItself bool
	// DeadLetters receives the unchanged event of an asynchronous invocation that
	// failed in every attempt, with the error as an attribute. Optional: for functions
	// that are invoked asynchronously.
	DeadLetters *DeadLetters
}

// Function is a Lambda function written in Go, with a log group and a role of its
// own.
type Function struct {
	constructs.Construct
	Lambda awslambda.Function
	logs   awslogs.LogGroup
}

// NewFunction makes a function. Its log is kept for a month and is deleted with the
// stack. X-Ray is off.
func NewFunction(scope constructs.Construct, id *string, props *FunctionProps) *Function {
	this := constructs.NewConstruct(scope, id)

	logs := awslogs.NewLogGroup(this, jsii.String("Logs"), &awslogs.LogGroupProps{
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})

	// The managed policy for Lambda functions would allow to write to every log of the
	// account.
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
		// Otherwise CDK adds a second policy with rights that it derives.
		Role:     role.WithoutPolicyUpdates(nil),
		LogGroup: logs,
	}
	if props.Name != "" {
		lambdaProps.FunctionName = jsii.String(props.Name)
	}
	if props.InvokesItself {
		lambdaProps.RecursiveLoop = awslambda.RecursiveLoop_ALLOW
	}
	if props.ReservedConcurrency > 0 {
		lambdaProps.ReservedConcurrentExecutions = jsii.Number(props.ReservedConcurrency)
	}
	if props.DeadLetters != nil {
		// A dead-letter queue holds events, a destination would hold records of
		// invocations. EventBridge puts events into the same queue.
		lambdaProps.DeadLetterQueue = props.DeadLetters.queue
		lambdaProps.RetryAttempts = jsii.Number(retries)
	}
	return &Function{
		Construct: this,
		Lambda:    awslambda.NewFunction(this, jsii.String("Lambda"), lambdaProps),
		logs:      logs,
	}
}

// AllowInvoke allows to invoke the function of this name in the stack of scope. It does not
// reference the function.
func AllowInvoke(scope constructs.Construct, name string) awsiam.PolicyStatement {
	return allow([]string{"lambda:InvokeFunction"}, *awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("lambda"), Resource: jsii.String("function"), ResourceName: jsii.String(name),
		ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	}))
}

// Metric is a metric of this function, such as "Duration".
func (f *Function) Metric(name, statistic string) awscloudwatch.Metric {
	return metric("AWS/Lambda", name, statistic, *f.Node().Id(), map[string]*string{"FunctionName": f.Lambda.FunctionName()})
}

// CountFailures counts log lines that report an error in a metric, which functions may
// share: lines of level ERROR that the function wrote, and lines in which Lambda
// reports an error or a timeout.
func (f *Function) CountFailures(namespace, name string) {
	awslogs.NewMetricFilter(f.Construct, jsii.String("Failures"), &awslogs.MetricFilterProps{
		LogGroup:        f.logs,
		FilterPattern:   awslogs.FilterPattern_AnyTerm(jsii.String("ERROR"), jsii.String("Status: error"), jsii.String("Status: timeout")),
		MetricNamespace: jsii.String(namespace),
		MetricName:      jsii.String(name),
	})
}
