package construct

import (
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

// Bus is an event bus of EventBridge, which other stacks may add rules to. It costs
// $1 for a million events that are put, and nothing while there are none.
type Bus struct {
	constructs.Construct
	bus awsevents.EventBus
}

// Events are the events of one kind on a bus.
type Events struct {
	// Source tells who put them, DetailType what they are.
	Source, DetailType string
}

// NewBus makes a bus without rules: what is put on it goes nowhere.
func NewBus(scope constructs.Construct, id *string, props *BusProps) *Bus {
	this := constructs.NewConstruct(scope, id)
	return &Bus{Construct: this, bus: awsevents.NewEventBus(this, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(props.Name),
	})}
}

// Name is the name of the bus.
func (b *Bus) Name() string { return *b.bus.EventBusName() }

// AllowPut lets its holder put events of one kind on the bus.
func (b *Bus) AllowPut(e Events) awsiam.PolicyStatement {
	statement := allow([]string{"events:PutEvents"}, *b.bus.EventBusArn())
	// A request has many sources, and so wants ForAllValues, which holds where there
	// are none at all; but a request without one has no detail type either.
	statement.AddCondition(jsii.String("ForAllValues:StringEquals"), map[string]string{"events:source": e.Source})
	statement.AddCondition(jsii.String("StringEquals"), map[string]string{"events:detail-type": e.DetailType})
	return statement
}

// Invoke makes the bus invoke f asynchronously for every event of one kind. What f
// fails at in every attempt is up to f. Events that EventBridge does not get as far
// as Lambda's queue, which it tries for a day, go to dead.
func (b *Bus) Invoke(f *Function, e Events, dead *DeadLetters) {
	awsevents.NewRule(b.Construct, f.Node().Id(), &awsevents.RuleProps{
		EventBus: b.bus,
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings(e.Source),
			DetailType: jsii.Strings(e.DetailType),
		},
		Targets: &[]awsevents.IRuleTarget{
			awseventstargets.NewLambdaFunction(f.Lambda, &awseventstargets.LambdaFunctionProps{DeadLetterQueue: dead.queue}),
		},
	})
}
