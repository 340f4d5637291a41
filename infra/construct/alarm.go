package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// AlarmsProps describes Alarms.
type AlarmsProps struct {
	// Prefix begins the name of every alarm. Required.
	Prefix string
	// Email is an address that gets a mail when an alarm goes off and when it ends.
	// Its owner must confirm the subscription first. Optional: without it, alarms
	// only show in the console.
	Email string
}

// Alarms are the alarms of a stack. All of them notify one address.
type Alarms struct {
	constructs.Construct
	prefix string
	action awscloudwatch.IAlarmAction
	all    []interfacesawscloudwatch.IAlarmRef
}

// NewAlarms makes an empty group of alarms. The SNS topic is not encrypted: CloudWatch
// may not use the key that AWS manages for SNS. Its messages hold names and values of
// metrics.
func NewAlarms(scope constructs.Construct, id *string, props *AlarmsProps) *Alarms {
	this := constructs.NewConstruct(scope, id)
	alarms := &Alarms{Construct: this, prefix: props.Prefix}
	if props.Email != "" {
		topic := awssns.NewTopic(this, jsii.String("Topic"), &awssns.TopicProps{
			DisplayName: jsii.String(props.Prefix + " alarms"),
		})
		awssns.NewSubscription(this, jsii.String("Email"), &awssns.SubscriptionProps{
			Topic:    topic,
			Protocol: awssns.SubscriptionProtocol_EMAIL,
			Endpoint: jsii.String(props.Email),
		})
		alarms.action = awscloudwatchactions.NewSnsAction(topic)
	}
	return alarms
}

// Add makes the alarm <prefix>-<id>. It goes off when m reaches threshold in two of
// three consecutive periods of five minutes, so that a short disturbance does not set
// it off. Periods without data count as good.
func (a *Alarms) Add(id, description string, threshold int, m awscloudwatch.IMetric) {
	alarm := awscloudwatch.NewAlarm(a.Construct, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmName:          jsii.String(a.prefix + "-" + id),
		AlarmDescription:   jsii.String(description),
		Metric:             m,
		Threshold:          jsii.Number(threshold),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		EvaluationPeriods:  jsii.Number(3),
		DatapointsToAlarm:  jsii.Number(2),
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
	if a.action != nil {
		alarm.AddAlarmAction(a.action)
		alarm.AddOkAction(a.action)
	}
	a.all = append(a.all, alarm)
}
