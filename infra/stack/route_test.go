package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutes(t *testing.T) {
	const want = `
ANY /demo/{proxy+} → demo
GET /demo → demo
GET /healthz → publish
POST /api/{proxy+} → publish
POST /rpc/{project} → publish
$connect → connect
$default ⇄ message
$disconnect → disconnect
auth ⇄ auth
broadcast ⇄ broadcast
subscribe ⇄ subscribe
unsubscribe ⇄ unsubscribe
`
	t.Run("every route reaches its function, and the replying ones have a route response", func(t *testing.T) {
		if diff := cmp.Diff(want, routes(t, load(t, "full"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("without demo there is no way to it", func(t *testing.T) {
		plain := strings.NewReplacer("ANY /demo/{proxy+} → demo\n", "", "GET /demo → demo\n", "").Replace(want)
		if diff := cmp.Diff(plain, routes(t, load(t, "plain"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// routes renders the routes of both APIs, "⇄" where the function's answer goes
// back, and fails for a route whose function API Gateway may not invoke.
func routes(t *testing.T, tpl template) string {
	t.Helper()
	replies := map[string]bool{}
	for _, r := range tpl.of("AWS::ApiGatewayV2::RouteResponse") {
		if r.at("RouteResponseKey") == "$default" {
			replies[at(r.at("RouteId"), "Ref").(string)] = true
		}
	}
	permissions := map[string]bool{}
	for _, r := range tpl.of("AWS::Lambda::Permission") {
		if r.at("Action") != "lambda:InvokeFunction" || r.at("Principal") != "apigateway.amazonaws.com" {
			t.Errorf("an unexpected permission: %v", r.Properties)
		}
		permissions[tpl.string(r.at("FunctionName"))+" from "+tpl.string(r.at("SourceArn"))] = true
	}

	var http, websocket []string
	for id, r := range tpl.of("AWS::ApiGatewayV2::Route") {
		route := r.at("RouteKey").(string)
		api := tpl.string(r.at("ApiId"))
		integration := tpl.Resources[references(r.at("Target"))[0]]
		uri := references(integration.at("IntegrationUri"))
		function := tpl.Resources[uri[len(uri)-1]]
		name := strings.TrimPrefix(function.at("Description").(string), "functions/")

		arrow := " → "
		if replies[id] {
			arrow = " ⇄ "
		}
		if replies[id] != (r.at("RouteResponseSelectionExpression") == "$default") {
			t.Errorf("route %s has only one of a route response and its selection", route)
		}

		path := "/*" + route
		if api == "${HTTP}" {
			http = append(http, route+arrow+name+"\n")
			_, below, _ := strings.Cut(route, "/")
			path = "/*/*/" + below
		} else {
			websocket = append(websocket, route+arrow+name+"\n")
		}
		source := "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:" + api + path
		if !permissions["${"+name+".Arn} from "+source] {
			t.Errorf("route %s may not invoke %s", route, name)
		}
	}
	slices.Sort(http)
	slices.Sort(websocket)
	return "\n" + strings.Join(http, "") + strings.Join(websocket, "")
}

func TestAPIs(t *testing.T) {
	tpl := load(t, "full")
	stages := map[string]string{}
	for _, stage := range tpl.of("AWS::ApiGatewayV2::Stage") {
		api := tpl.string(stage.at("ApiId"))
		stages[api] = stage.at("StageName").(string)
		for _, limit := range []string{"ThrottlingRateLimit", "ThrottlingBurstLimit"} {
			if n, _ := stage.at("DefaultRouteSettings", limit).(float64); n <= 0 {
				t.Errorf("the stage of %s has no %s", api, limit)
			}
		}
		if stage.at("AutoDeploy") != true {
			t.Errorf("the stage of %s is never deployed", api)
		}
	}
	if diff := cmp.Diff(map[string]string{"${WEBSOCKET}": "full", "${HTTP}": "$default"}, stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	for id, api := range tpl.of("AWS::ApiGatewayV2::Api") {
		if tpl.name(id) == "WEBSOCKET" && api.at("RouteSelectionExpression") != "$request.body.method" {
			t.Errorf("routes are selected by %v", api.at("RouteSelectionExpression"))
		}
	}
}
