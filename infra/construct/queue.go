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

// DeadLetters is a dead-letter queue.
type DeadLetters struct {
	constructs.Construct
	queue awssqs.Queue
}

// NewDeadLetters makes a queue that keeps messages for 14 days, encrypts them with
// keys of SQS, and accepts TLS only. It is deleted with the stack, messages included.
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

// URL is the address of the queue.
func (d *DeadLetters) URL() string { return *d.queue.QueueUrl() }

// Waiting is the metric of messages in the queue.
func (d *DeadLetters) Waiting() awscloudwatch.Metric {
	return metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", Maximum, "",
		map[string]*string{"QueueName": d.queue.QueueName()})
}

// allowSend allows to put messages into the queue.
func (d *DeadLetters) allowSend() awsiam.PolicyStatement {
	return allow([]string{"sqs:SendMessage"}, *d.queue.QueueArn())
}
