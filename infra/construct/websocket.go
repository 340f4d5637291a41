package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Throttle is what a stage lets through: Rate requests a second in the long run
// and Burst at once. What is beyond is refused.
type Throttle struct{ Rate, Burst int }

func (t Throttle) settings() *awsapigatewayv2.ThrottleSettings {
	return &awsapigatewayv2.ThrottleSettings{
		RateLimit:  jsii.Number(t.Rate),
		BurstLimit: jsii.Number(t.Burst),
	}
}

// WebSocketProps describes a WebSocket. Every field is required unless it says
// otherwise.
type WebSocketProps struct {
	// Name is what the console calls the API.
	Name string
	// Stage is the only stage, the last part of the address.
	Stage string
	// RouteSelection is the expression that picks the route of a frame.
	RouteSelection string
	Throttle       Throttle
	// Domain is a host name of its own; optional.
	Domain *Domain
}

// WebSocket is a WebSocket API with one stage.
type WebSocket struct {
	constructs.Construct
	API    awsapigatewayv2.WebSocketApi
	stage  string
	domain *Domain
}

// NewWebSocket makes a WebSocket API without routes. It has no access log: API
// Gateway writes one only after the account was given a role for it, once for all
// APIs, which is not for one stack to do.
func NewWebSocket(scope constructs.Construct, id *string, props *WebSocketProps) *WebSocket {
	this := constructs.NewConstruct(scope, id)
	api := awsapigatewayv2.NewWebSocketApi(this, jsii.String("API"), &awsapigatewayv2.WebSocketApiProps{
		ApiName:                  jsii.String(props.Name),
		RouteSelectionExpression: jsii.String(props.RouteSelection),
	})
	stage := awsapigatewayv2.NewWebSocketStage(this, jsii.String("Stage"), &awsapigatewayv2.WebSocketStageProps{
		WebSocketApi: api,
		StageName:    jsii.String(props.Stage),
		AutoDeploy:   jsii.Bool(true),
		Throttle:     props.Throttle.settings(),
	})
	props.Domain.lead(api, stage)
	return &WebSocket{Construct: this, API: api, stage: props.Stage, domain: props.Domain}
}

// OneWay sends the frames of a route to f, whose answer goes nowhere. On $connect
// the status of the answer still decides.
func (w *WebSocket) OneWay(route string, f *Function) { w.route(route, f, false) }

// TwoWay sends the frames of a route to f, and f's answer to the client.
func (w *WebSocket) TwoWay(route string, f *Function) { w.route(route, f, true) }

func (w *WebSocket) route(route string, f *Function, reply bool) {
	integration := awsapigatewayv2integrations.NewWebSocketLambdaIntegration(
		jsii.String("Integration"), f.Lambda, &awsapigatewayv2integrations.WebSocketLambdaIntegrationProps{
			Timeout: awscdk.Duration_Seconds(jsii.Number(IntegrationTimeout)),
		})
	w.API.AddRoute(jsii.String(route), &awsapigatewayv2.WebSocketRouteOptions{
		Integration:    integration,
		ReturnResponse: jsii.Bool(reply),
	})
}

// The addresses are put together from the id of the API and the name of the
// stage. Asking the stage would make it wait for the routes, the routes for the
// functions, and the functions, which are told these addresses, for the stage.

// URL is where clients connect.
func (w *WebSocket) URL() string {
	if w.domain != nil {
		return "wss://" + w.domain.Name
	}
	return "wss://" + w.address()
}

// ManagementURL is the base of the management API. A host name of its own does not
// serve that.
func (w *WebSocket) ManagementURL() string { return "https://" + w.address() }

func (w *WebSocket) address() string {
	stack := awscdk.Stack_Of(w.API)
	return *w.API.ApiId() + ".execute-api." + *stack.Region() + "." + *stack.UrlSuffix() + "/" + w.stage
}

// Metric is a metric of this API, such as "ConnectCount".
func (w *WebSocket) Metric(name, statistic string) awscloudwatch.Metric {
	return metric("AWS/ApiGateway", name, statistic, "", map[string]*string{"ApiId": w.API.ApiId()})
}

// AllowConnections lets its holder use methods of the management API, such as
// POST, on the connections of this stage.
func (w *WebSocket) AllowConnections(methods ...string) awsiam.PolicyStatement {
	var resources []string
	for _, method := range methods {
		resources = append(resources, *awscdk.Stack_Of(w.API).FormatArn(&awscdk.ArnComponents{
			Service:      jsii.String("execute-api"),
			Resource:     w.API.ApiId(),
			ResourceName: jsii.String(w.stage + "/" + method + "/@connections/*"),
		}))
	}
	return allow([]string{"execute-api:ManageConnections"}, resources...)
}
