package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// retentionDays is the longest that SQS keeps a message.
const retentionDays = 14

// DeadLetters is a queue of what could not be done, for somebody to look at.
type DeadLetters struct {
	constructs.Construct
	queue awssqs.Queue
}

// NewDeadLetters makes a queue that keeps messages for 14 days, encrypted with keys
// of SQS, and speaks TLS only. It goes with the stack, and so does what is in it.
func NewDeadLetters(scope constructs.Construct, id *string) *DeadLetters {
	this := constructs.NewConstruct(scope, id)
	queue := awssqs.NewQueue(this, jsii.String("Queue"), &awssqs.QueueProps{
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(retentionDays)),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RemovalPolicy:   awscdk.RemovalPolicy_DESTROY,
	})
	return &DeadLetters{Construct: this, queue: queue}
}

// URL is what the queue is read by.
func (d *DeadLetters) URL() string { return *d.queue.QueueUrl() }

// Waiting is the number of messages that nobody has taken away.
func (d *DeadLetters) Waiting() awscloudwatch.Metric {
	return metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", Maximum, "",
		map[string]*string{"QueueName": d.queue.QueueName()})
}

// allowSend lets its holder put messages into the queue.
func (d *DeadLetters) allowSend() awsiam.PolicyStatement {
	return allow([]string{"sqs:SendMessage"}, *d.queue.QueueArn())
}
