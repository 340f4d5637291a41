package construct

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// HTTPAPIProps describes an HTTPAPI. Every field is required unless it says
// otherwise.
type HTTPAPIProps struct {
	// Name is the name of the API in the console.
	Name     string
	Throttle Throttle
	// Domain is a custom domain; optional.
	Domain *Domain
}

// HTTPAPI is an HTTP API with one stage, $default, whose name is not part of the
// address.
type HTTPAPI struct {
	constructs.Construct
	API    awsapigatewayv2.HttpApi
	domain *Domain
	parts  *sequence
}

// NewHTTPAPI makes an HTTP API without routes.
func NewHTTPAPI(scope constructs.Construct, id *string, props *HTTPAPIProps) *HTTPAPI {
	this := constructs.NewConstruct(scope, id)
	api := awsapigatewayv2.NewHttpApi(this, jsii.String("API"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String(props.Name),
		CreateDefaultStage: jsii.Bool(false),
	})
	stage := awsapigatewayv2.NewHttpStage(this, jsii.String("Stage"), &awsapigatewayv2.HttpStageProps{
		HttpApi:    api,
		AutoDeploy: jsii.Bool(true),
		Throttle:   props.Throttle.settings(),
	})
	props.Domain.mapTo(api, stage)
	return &HTTPAPI{Construct: this, API: api, domain: props.Domain, parts: newSequence(stage)}
}

// Route sends the requests of routes to f, in payload format 2.0. A route is written
// as API Gateway writes it: "POST /api/{proxy+}". ANY is every method.
func (a *HTTPAPI) Route(f *Function, routes ...string) {
	integration := awsapigatewayv2integrations.NewHttpLambdaIntegration(
		f.Node().Id(), f.Lambda, &awsapigatewayv2integrations.HttpLambdaIntegrationProps{})
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		for _, r := range *a.API.AddRoutes(&awsapigatewayv2.AddRoutesOptions{
			Methods:     &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod(method)},
			Path:        jsii.String(path),
			Integration: integration,
		}) {
			a.parts.add(r)
		}
	}
}

// URL is the address of the API, without a slash at the end.
func (a *HTTPAPI) URL() string {
	if a.domain != nil {
		return "https://" + a.domain.Name
	}
	return *a.API.ApiEndpoint()
}

// Metric is a metric of this API, such as "5xx".
func (a *HTTPAPI) Metric(name, statistic string) awscloudwatch.Metric {
	return metric("AWS/ApiGateway", name, statistic, "", map[string]*string{"ApiId": a.API.ApiId()})
}
