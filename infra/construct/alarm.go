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
	// Email is an address that gets a mail when an alarm goes off and when it is
	// over, once its owner has confirmed. Optional: without, alarms only show.
	Email string
}

// Alarms are the alarms of a stack, which all tell the same person.
type Alarms struct {
	constructs.Construct
	prefix string
	action awscloudwatch.IAlarmAction
	all    []interfacesawscloudwatch.IAlarmRef
}

// NewAlarms makes no alarm yet. The topic behind the address is not encrypted with
// the key that AWS manages for SNS, because CloudWatch may not use that key; its
// messages tell names and numbers of metrics.
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

// Add makes an alarm that goes off when m reaches threshold in two of three
// consecutive periods of five minutes, so that what mends itself wakes nobody. No
// data is good news. It is named by its id after the prefix.
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
