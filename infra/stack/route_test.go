package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// routes renders the routes of both APIs, with "⇄" where the function's response goes
// to the client. It fails for a route whose function API Gateway may not invoke, and
// for a mock integration that would fail or reply.
func routes(t *testing.T, tpl template) []string {
	t.Helper()
	replies := map[string]bool{}
	for _, r := range tpl.of("AWS::ApiGatewayV2::RouteResponse") {
		if r.at("RouteResponseKey") == "$default" {
			replies[at(r.at("RouteId"), "Ref").(string)] = true
		}
	}
	permissions := map[string]bool{}
	for _, r := range tpl.of("AWS::Lambda::Permission") {
		switch {
		case r.at("Action") != "lambda:InvokeFunction":
			t.Errorf("an unexpected permission: %v", r.Properties)
		case r.at("Principal") == "events.amazonaws.com":
			continue // TestEventHooks
		case r.at("Principal") != "apigateway.amazonaws.com":
			t.Errorf("an unexpected permission: %v", r.Properties)
		}
		permissions[tpl.string(r.at("FunctionName"))+" from "+tpl.string(r.at("SourceArn"))] = true
	}

	var http, websocket []string
	for id, r := range tpl.of("AWS::ApiGatewayV2::Route") {
		route := r.at("RouteKey").(string)
		api := tpl.string(r.at("ApiId"))
		integration := tpl.Resources[references(r.at("Target"))[0]]
		if integration.at("IntegrationType") == "MOCK" {
			if replies[id] {
				t.Errorf("route %s has a route response and no function", route)
			}
			if template := integration.at("RequestTemplates", integration.at("TemplateSelectionExpression").(string)); template != `{"statusCode":200}` {
				t.Errorf("the mock integration of route %s has the response %v", route, template)
			}
			websocket = append(websocket, route+" → no function")
			continue
		}
		uri := references(integration.at("IntegrationUri"))
		function := tpl.Resources[uri[len(uri)-1]]
		name := strings.TrimPrefix(function.at("Description").(string), "functions/")

		arrow := " → "
		if replies[id] {
			arrow = " ⇄ "
		}
		if replies[id] != (r.at("RouteResponseSelectionExpression") == "$default") {
			t.Errorf("route %s must have a route response and its selection expression, or neither", route)
		}

		path := "/*" + route
		if api == "${HTTP}" {
			http = append(http, route+arrow+name)
			_, below, _ := strings.Cut(route, "/")
			path = "/*/*/" + below
		} else {
			websocket = append(websocket, route+arrow+name)
		}
		source := "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:" + api + path
		if !permissions["${"+name+".Arn} from "+source] {
			t.Errorf("API Gateway may not invoke %s for route %s", name, route)
		}
	}
	slices.Sort(http)
	slices.Sort(websocket)
	return append(http, websocket...)
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
			t.Errorf("the stage of %s is not deployed automatically", api)
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

// CloudFormation must not change an API concurrently: API Gateway answers with conflicts.
func TestAPISequence(t *testing.T) {
	for stage := range contexts {
		tpl := load(t, stage)
		parts := map[string][]string{} // of an API: integrations, routes, route responses and the stage
		for id, r := range tpl.Resources {
			switch r.Type {
			case "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::RouteResponse", "AWS::ApiGatewayV2::Stage":
				api := tpl.string(r.at("ApiId"))
				parts[api] = append(parts[api], id)
			}
		}
		if len(parts) != 2 {
			t.Errorf("%s: %d APIs, want 2", stage, len(parts))
		}
		for api, ids := range parts {
			// In a sequence every part has one predecessor, except the first.
			next := map[string]string{}
			for _, id := range ids {
				before := slices.DeleteFunc(slices.Clone(tpl.Resources[id].DependsOn), func(other string) bool {
					return !slices.Contains(ids, other)
				})
				switch {
				case len(before) > 1:
					t.Errorf("%s: %s depends on %v, want one part of the API", stage, id, before)
				case len(before) == 0:
					before = []string{""}
				}
				if other, taken := next[before[0]]; taken {
					t.Errorf("%s: both %s and %s may follow %q", stage, other, id, before[0])
				}
				next[before[0]] = id
			}
			last, n := "", 0
			for next[last] != "" && n <= len(ids) {
				last, n = next[last], n+1
			}
			if n != len(ids) || tpl.Resources[last].Type != "AWS::ApiGatewayV2::Stage" {
				t.Errorf("%s: the sequence of %s has %d of %d parts and ends with %s, want all and the stage", stage, api, n, len(ids), last)
			}
		}
	}
}

func TestDomains(t *testing.T) {
	for _, test := range []struct {
		name, stage string
		// want are the stages that the domains map to, and the zones of their records.
		want map[string]string
	}{
		{"no option", "plain", map[string]string{}},
		{"with a zone", "full", map[string]string{
			"rt.example.com":     "full of ${WEBSOCKET}, record in Z0123456789ABCDEFGHIJ",
			"api.rt.example.com": "$default of ${HTTP}, record in Z0123456789ABCDEFGHIJ",
		}},
		{"without a zone", "bare", map[string]string{
			"rt.example.com":      "bare of ${WEBSOCKET}",
			"publish.example.com": "$default of ${HTTP}",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tpl := load(t, test.stage)
			got := map[string]string{}
			for id, mapping := range tpl.of("AWS::ApiGatewayV2::ApiMapping") {
				domain := tpl.Resources[references(mapping.at("DomainName"))[0]]
				name := domain.at("DomainName").(string)
				target := mapping.at("Stage").(string) + " of " + tpl.string(mapping.at("ApiId"))
				for _, record := range tpl.of("AWS::Route53::RecordSet") {
					if record.at("Name") == name && tpl.Resources[references(record.at("AliasTarget"))[0]].at("DomainName") == name {
						target += ", record in " + record.at("HostedZoneId").(string)
					}
				}
				got[name] = target

				// The mapping has the name of the stage, not a reference to it.
				if !slices.ContainsFunc(mapping.DependsOn, func(id string) bool {
					return tpl.Resources[id].Type == "AWS::ApiGatewayV2::Stage"
				}) {
					t.Errorf("%s does not depend on the stage", id)
				}
				for _, c := range domain.at("DomainNameConfigurations").([]any) {
					if at(c, "CertificateArn") != certificate || at(c, "SecurityPolicy") != "TLS_1_2" {
						t.Errorf("%s is configured as %v", name, c)
					}
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
