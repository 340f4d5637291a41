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

// Throttle limits a stage to Rate requests a second and to a burst of Burst requests.
// API Gateway refuses more with 429. AWS documents the limit for frames and requests
// of clients. It does not document whether posts to connections count.
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
	// Name is the name of the API in the console.
	Name string
	// Stage is the only stage, the last part of the address.
	Stage string
	// RouteSelection is the expression that selects the route of a frame.
	RouteSelection string
	Throttle       Throttle
	// Domain is a custom domain; optional.
	Domain *Domain
}

// WebSocket is a WebSocket API with one stage.
type WebSocket struct {
	constructs.Construct
	API    awsapigatewayv2.WebSocketApi
	stage  string
	domain *Domain
	parts  *sequence
}

// NewWebSocket makes a WebSocket API without routes. It has no access log: API Gateway
// writes one only with a role that is set for the whole account, and a stack should
// not change the account.
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
	props.Domain.mapTo(api, stage)
	return &WebSocket{Construct: this, API: api, stage: props.Stage, domain: props.Domain, parts: newSequence(stage)}
}

// Route sends the frames of a route to f. With reply, f's response goes to the
// client. On $connect the status of the response accepts or refuses the connection in
// either case.
func (w *WebSocket) Route(route string, f *Function, reply bool) {
	integration := awsapigatewayv2integrations.NewWebSocketLambdaIntegration(
		jsii.String("Integration"), f.Lambda, &awsapigatewayv2integrations.WebSocketLambdaIntegrationProps{
			Timeout: awscdk.Duration_Seconds(jsii.Number(IntegrationTimeout)),
		})
	w.parts.add(w.API.AddRoute(jsii.String(route), &awsapigatewayv2.WebSocketRouteOptions{
		Integration:    integration,
		ReturnResponse: jsii.Bool(reply),
	}))
}

// Mock accepts the frames of a route without a function and sends nothing to the
// client.
func (w *WebSocket) Mock(route string) {
	// The template is the response of the mock, and the expression selects it for every
	// frame. A mock integration without a template fails.
	const success = "200"
	integration := awsapigatewayv2integrations.NewWebSocketMockIntegration(
		jsii.String("Integration"), &awsapigatewayv2integrations.WebSocketMockIntegrationProps{
			RequestTemplates:            &map[string]*string{success: jsii.String(`{"statusCode":200}`)},
			TemplateSelectionExpression: jsii.String(success),
		})
	w.parts.add(w.API.AddRoute(jsii.String(route), &awsapigatewayv2.WebSocketRouteOptions{Integration: integration}))
}

// The addresses are built from the id of the API and the name of the stage. The
// stage depends on the routes and the routes on the functions, whose environment
// holds these addresses: a reference to the stage would close a circle.

// URL is the address that clients connect to.
func (w *WebSocket) URL() string {
	if w.domain != nil {
		return "wss://" + w.domain.Name
	}
	return "wss://" + w.address()
}

// ManagementURL is the base address of the management API. A custom domain serves
// @connections too, without the stage in the path. The address of the API itself
// works with and without a domain, and does not depend on its mapping.
func (w *WebSocket) ManagementURL() string { return "https://" + w.address() }

func (w *WebSocket) address() string {
	stack := awscdk.Stack_Of(w.API)
	return *w.API.ApiId() + ".execute-api." + *stack.Region() + "." + *stack.UrlSuffix() + "/" + w.stage
}

// Metric is a metric of this API, such as "ConnectCount".
func (w *WebSocket) Metric(name, statistic string) awscloudwatch.Metric {
	return metric("AWS/ApiGateway", name, statistic, "", map[string]*string{"ApiId": w.API.ApiId()})
}

// AllowConnections allows methods of the management API, such as POST, on the
// connections of this stage.
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
