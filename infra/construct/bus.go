package construct

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// BusProps describes a Bus. Every field is required.
type BusProps struct {
	// Name is the name of the bus, unique in the account and region.
	Name string
}

// Bus is an event bus of EventBridge. Other stacks may add rules to it. A million
// events cost $1; an idle bus costs nothing.
type Bus struct {
	constructs.Construct
	bus awsevents.EventBus
}

// Event is a kind of event on a bus: its source and its detail type.
type Event struct{ Source, DetailType string }

// NewBus makes a bus without rules.
func NewBus(scope constructs.Construct, id *string, props *BusProps) *Bus {
	this := constructs.NewConstruct(scope, id)
	return &Bus{Construct: this, bus: awsevents.NewEventBus(this, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(props.Name),
	})}
}

// Name is the name of the bus.
func (b *Bus) Name() string { return *b.bus.EventBusName() }

// AllowPut allows to put events of some kinds on the bus, also of several in one request.
func (b *Bus) AllowPut(events ...Event) awsiam.PolicyStatement {
	statement := allow([]string{"events:PutEvents"}, *b.bus.EventBusArn())
	// Both keys hold the values of all events of a request, and IAM requires ForAllValues
	// or ForAnyValue for such keys. ForAllValues is also true without any value.
	sources, detailTypes := parts(events)
	statement.AddCondition(jsii.String("ForAllValues:StringEquals"), map[string][]string{
		"events:source": sources, "events:detail-type": detailTypes,
	})
	statement.AddCondition(jsii.String("Null"), map[string]string{
		"events:source": "false", "events:detail-type": "false",
	})
	return statement
}

// parts are the sources and the detail types of events, each once and in order.
func parts(events []Event) (sources, detailTypes []string) {
	for _, e := range events {
		sources, detailTypes = append(sources, e.Source), append(detailTypes, e.DetailType)
	}
	slices.Sort(sources)
	slices.Sort(detailTypes)
	return slices.Compact(sources), slices.Compact(detailTypes)
}

// Invoke makes the bus invoke f asynchronously for every event of some kinds. Events
// that EventBridge could not give to Lambda within a day go to deadLetters. Events
// that f failed in every attempt are the matter of FunctionProps.DeadLetters.
func (b *Bus) Invoke(f *Function, deadLetters *DeadLetters, events ...Event) {
	sources, detailTypes := parts(events)
	awsevents.NewRule(b.Construct, f.Node().Id(), &awsevents.RuleProps{
		EventBus: b.bus,
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings(sources...),
			DetailType: jsii.Strings(detailTypes...),
		},
		Targets: &[]awsevents.IRuleTarget{
			awseventstargets.NewLambdaFunction(f.Lambda, &awseventstargets.LambdaFunctionProps{DeadLetterQueue: deadLetters.queue}),
		},
	})
}
