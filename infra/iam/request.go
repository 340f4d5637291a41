package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"centrifuge/functions"
	"centrifuge/pkg/store/schema"
)

// request is a request to AWS, the policies that decide about it, and the expected
// decision.
type request struct {
	by, name string
	allowed  bool

	Principal, Action, Resource string
	Context                     map[string]any
	Identity                    []any
	ResourcePolicy              any
}

// values are the values of a context key.
type values = []string

// question is a request that every function is supposed to make, and the functions
// that may.
type question struct {
	name, action, resource string
	context                map[string]any
	may                    func(functions.Function) bool
}

func nobody(functions.Function) bool { return false }

// only are functions by name.
func only(names ...string) func(functions.Function) bool {
	return func(f functions.Function) bool { return slices.Contains(names, f.Name) }
}

// requests returns the requests of every function of a template, and those to its
// resource policies.
func requests(t template) ([]request, error) {
	if len(t.of("AWS::IAM::Policy"))+len(t.of("AWS::IAM::ManagedPolicy")) > 0 {
		return nil, errors.New("the template has policies outside roles, which this command does not read")
	}
	questions := slices.Concat(onTable(t), onIndex(t), onConnections(t), onBus(t), onOthers(t))
	deployed := t.functions()
	var all []request
	for _, f := range functions.All {
		id, ok := deployed[f.Name]
		if !ok {
			continue
		}
		role := t.Resources[id].Properties["Role"].(map[string]any)["Fn::GetAtt"].([]any)[0].(string)
		identity, err := t.policies(role)
		if err != nil {
			return nil, err
		}
		for _, q := range slices.Concat(questions, onLogs(t, deployed)) {
			all = append(all, request{
				by: f.Name, name: q.name, allowed: q.may(f),
				Principal: t.arn(role), Action: q.action, Resource: q.resource, Context: q.context, Identity: identity,
			})
		}
		all = append(all, roleUse(t, role)...)
	}
	return slices.Concat(all, invocations(t, deployed), deadLetters(t)), nil
}

// policies returns the inline policies of a role.
func (t template) policies(role string) ([]any, error) {
	properties := t.Resources[role].Properties
	if properties["ManagedPolicyArns"] != nil {
		return nil, fmt.Errorf("role %s has managed policies, which this command does not read", role)
	}
	var all []any
	for _, p := range properties["Policies"].([]any) {
		all = append(all, t.resolve(p.(map[string]any)["PolicyDocument"]))
	}
	return all, nil
}

const leadingKeys = "dynamodb:LeadingKeys"

// password is the partition of the admin password.
const password = schema.PasswordPartition

// onTable are requests to the table, with the keys of partitions.
func onTable(t template) []question {
	table := t.arn(t.of("AWS::DynamoDB::Table")[0])
	var all []question
	for _, action := range []string{
		"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem", "BatchWriteItem",
	} {
		for _, keys := range []values{
			{"P#demo"}, {"P#other"}, {"T#demo/live"}, {"T#other/live"}, {"S#demo"}, {"P#demo", "P#other"}, {password}, {"P#demo", password}, {password + "#demo"},
		} {
			all = append(all, question{
				action + " in " + strings.Join(keys, " and "), "dynamodb:" + action, table, map[string]any{leadingKeys: keys},
				func(f functions.Function) bool {
					return slices.Contains(f.Table, action) && !slices.Contains(keys, password) || slices.ContainsFunc(f.Partitions, func(p functions.Partition) bool {
						return slices.Contains(p.Actions, action) && !slices.ContainsFunc(keys, func(key string) bool { return !matches(p.Key, key) })
					})
				},
			})
		}
		all = append(
			all,
			question{action + " without a key", "dynamodb:" + action, table, nil, func(f functions.Function) bool { return slices.Contains(f.Table, action) }},
			question{action + " in another table", "dynamodb:" + action, table + "2", map[string]any{leadingKeys: values{"P#demo"}}, nobody},
		)
	}
	all = append(
		all,
		question{"Scan", "dynamodb:Scan", table, nil, only("publish", "admin")},
		question{"read the admin password", "dynamodb:GetItem", table, map[string]any{leadingKeys: values{password}}, only("admin")},
		question{"find the admin password", "dynamodb:Query", table, map[string]any{leadingKeys: values{password}}, nobody},
		question{"replace the admin password", "dynamodb:PutItem", table, map[string]any{leadingKeys: values{password}}, nobody},
		question{"delete the admin password", "dynamodb:DeleteItem", table, map[string]any{leadingKeys: values{password}}, nobody},
		question{"read a secret", "secretsmanager:GetSecretValue", arn("secretsmanager", "secret:other-a1B2c3"), nil, nobody},
	)
	for _, action := range []string{
		"DeleteTable", "UpdateTable", "DescribeTable", "UpdateTimeToLive", "UpdateContinuousBackups", "ExportTableToPointInTime",
		"CreateBackup", "PartiQLSelect", "PartiQLDelete", "ConditionCheckItem", "PutResourcePolicy",
	} {
		all = append(all, question{action, "dynamodb:" + action, table, nil, nobody})
	}
	return all
}

// matches reports whether a key matches the pattern of functions.Partition.
func matches(pattern, key string) bool {
	prefix, wildcard := strings.CutSuffix(pattern, "*")
	return key == pattern || wildcard && strings.HasPrefix(key, prefix)
}

func onIndex(t template) []question {
	table := t.arn(t.of("AWS::DynamoDB::Table")[0])
	return []question{
		{"Query on the index", "dynamodb:Query", table + "/index/user", map[string]any{leadingKeys: values{"demo#alice"}}, only("publish", "admin")},
		{"Scan on the index", "dynamodb:Scan", table + "/index/user", nil, nobody},
		{"Query on another index", "dynamodb:Query", table + "/index/other", map[string]any{leadingKeys: values{"demo#alice"}}, nobody},
	}
}

func onConnections(t template) []question {
	var api, stage string
	for _, id := range t.of("AWS::ApiGatewayV2::Stage") {
		properties := t.Resources[id].Properties
		if name := properties["StageName"].(string); name != "$default" {
			api, stage = t.resolve(properties["ApiId"]).(string), name
		}
	}
	const connection = "/@connections/L0SM9cOFvHcCIhw="
	own := arn("execute-api", api+"/"+stage)
	var all []question
	for _, method := range []string{"GET", "POST", "DELETE"} {
		all = append(
			all,
			question{method + " a connection", "execute-api:ManageConnections", own + "/" + method + connection, nil, func(f functions.Function) bool {
				return slices.Contains(f.Connections, method)
			}},
			question{
				method + " a connection of another stage", "execute-api:ManageConnections",
				arn("execute-api", api+"/other/"+method+connection), nil, nobody,
			},
			question{
				method + " a connection of another API", "execute-api:ManageConnections",
				arn("execute-api", "other/"+stage+"/"+method+connection), nil, nobody,
			},
		)
	}
	return append(
		all,
		question{"disconnect a client", "execute-api:ManageConnections", own + "/DELETE" + connection, nil, only("auth", "subscribe", "unsubscribe", "broadcast", "disconnect", "message", "publish", "admin", "dispatch", "ping")},
		question{"read about a connection", "execute-api:ManageConnections", own + "/GET" + connection, nil, nobody},
		question{
			"post to a client", "execute-api:ManageConnections", own + "/POST" + connection, nil,
			only("auth", "subscribe", "unsubscribe", "broadcast", "disconnect", "message", "publish", "admin", "dispatch", "ping"),
		},
		question{"call the API", "execute-api:Invoke", own + "/POST/auth", nil, nobody},
	)
}

func onBus(t template) []question {
	put := func(name, bus string, sources, types values, may func(functions.Function) bool) question {
		context := map[string]any{}
		if sources != nil {
			context["events:source"] = sources
		}
		if types != nil {
			context["events:detail-type"] = types
		}
		return question{name, "events:PutEvents", bus, context, may}
	}
	all := []question{put("put a message on the default bus", arn("events", "event-bus/default"), values{"centrifuge"}, values{"message"}, nobody)}
	for _, id := range t.of("AWS::Events::EventBus") {
		bus := t.arn(id)
		all = append(
			all,
			put("put a message", bus, values{"centrifuge"}, values{"message"}, only("broadcast", "message", "publish", "admin", "dispatch")),
			put("put two messages", bus, values{"centrifuge", "centrifuge"}, values{"message", "message"}, only("broadcast", "message", "publish", "admin", "dispatch")),
			put("put that connections and subscriptions have ended", bus, values{"centrifuge", "centrifuge"}, values{"disconnect", "unsubscribe", "vacated"},
				only("auth", "subscribe", "unsubscribe", "broadcast", "disconnect", "message", "publish", "admin", "dispatch", "ping")),
			put("put that a channel is occupied", bus, values{"centrifuge"}, values{"occupied"}, only("auth", "subscribe", "broadcast", "message", "publish", "admin", "dispatch")),
			put("put another type", bus, values{"centrifuge"}, values{"other"}, nobody),
			put("put a message and another type", bus, values{"centrifuge", "centrifuge"}, values{"message", "other"}, nobody),
			put("put a message from another source", bus, values{"other"}, values{"message"}, nobody),
			put("put messages from two sources", bus, values{"centrifuge", "other"}, values{"message", "message"}, nobody),
			put("put without a type", bus, values{"centrifuge"}, nil, nobody),
			put("put without a source", bus, nil, values{"message"}, nobody),
			question{"add a rule", "events:PutRule", arn("events", "rule/"+t.ref(id)+"/r"), nil, nobody},
		)
	}
	return all
}

// onOthers are requests to what no other question is about.
func onOthers(t template) []question {
	all := []question{
		{"put an object into S3", "s3:PutObject", "arn:aws:s3:::bucket/key", nil, nobody},
		{"assume another role", "sts:AssumeRole", "arn:aws:iam::" + account + ":role/other", nil, nobody},
		{"pass a role", "iam:PassRole", "arn:aws:iam::" + account + ":role/other", nil, nobody},
		{"decrypt with a key", "kms:Decrypt", arn("kms", "key/0a1b2c3d-0000-4000-8000-000000000000"), nil, nobody},
	}
	deployed := t.functions()
	for _, name := range slices.Sorted(maps.Keys(deployed)) {
		id, may := deployed[name], nobody
		switch name {
		case functions.Dispatch:
			may = only("broadcast", "message", "publish", "admin", "dispatch")
		case functions.Ping:
			may = only("ping")
		}
		all = append(
			all,
			question{"invoke " + name, "lambda:InvokeFunction", t.arn(id), nil, may},
			question{"invoke a version of " + name, "lambda:InvokeFunction", t.arn(id) + ":1", nil, nobody},
			question{"invoke what begins like " + name, "lambda:InvokeFunction", t.arn(id) + "2", nil, nobody},
			question{"change the code of " + name, "lambda:UpdateFunctionCode", t.arn(id), nil, nobody},
		)
	}
	for _, id := range t.of("AWS::SQS::Queue") {
		all = append(
			all,
			question{"send a dead letter", "sqs:SendMessage", t.arn(id), nil, only("webhook", "dispatch")},
			question{"receive dead letters", "sqs:ReceiveMessage", t.arn(id), nil, nobody},
			question{"delete dead letters", "sqs:DeleteMessage", t.arn(id), nil, nobody},
		)
	}
	return all
}

// onLogs are requests to the log of every function, which only this function may write.
func onLogs(t template, deployed map[string]string) []question {
	all := []question{{"make a log group", "logs:CreateLogGroup", arn("logs", "log-group:other"), nil, nobody}}
	for name, id := range deployed {
		group := t.resolve(t.Resources[id].Properties["LoggingConfig"].(map[string]any)["LogGroup"]).(string)
		stream := arn("logs", "log-group:"+group+":log-stream:2026/09/01/[$LATEST]0a1b2c3d")
		all = append(
			all,
			question{"write the log of " + name, "logs:PutLogEvents", stream, nil, only(name)},
			question{"begin the log of " + name, "logs:CreateLogStream", stream, nil, only(name)},
			question{"read the log of " + name, "logs:GetLogEvents", stream, nil, nobody},
		)
	}
	slices.SortFunc(all, func(a, b question) int { return strings.Compare(a.name, b.name) })
	return all
}

// The services that use the stack.
const (
	apiGateway  = "apigateway.amazonaws.com"
	eventBridge = "events.amazonaws.com"
	lambda      = "lambda.amazonaws.com"
)

// roleUse are requests to assume the role of a function.
func roleUse(t template, role string) []request {
	trust := t.resolve(t.Resources[role].Properties["AssumeRolePolicyDocument"])
	var all []request
	for _, principal := range []string{lambda, apiGateway, "arn:aws:iam::" + account + ":role/other"} {
		all = append(all, request{
			by: principal, name: "assume " + role, allowed: principal == lambda,
			Principal: principal, Action: "sts:AssumeRole", Resource: t.arn(role), ResourcePolicy: trust,
		})
	}
	return all
}

// invocations are invocations of functions by API Gateway for each route, and by
// EventBridge for each rule.
func invocations(t template, deployed map[string]string) []request {
	var all []request
	policies := t.invocationPolicies()
	apis := map[string]string{}
	for _, id := range t.of("AWS::ApiGatewayV2::Api") {
		apis[t.Resources[id].Properties["ProtocolType"].(string)] = t.ref(id)
	}
	rules := t.of("AWS::Events::Rule")
	for _, f := range functions.All {
		id, ok := deployed[f.Name]
		if !ok {
			continue
		}
		ask := func(by, name, source string, allowed bool) {
			all = append(all, request{
				by: by, name: name, allowed: allowed,
				Principal: by, Action: "lambda:InvokeFunction", Resource: t.arn(id), ResourcePolicy: policies[id],
				Context: map[string]any{"aws:SourceArn": source},
			})
		}
		for _, r := range f.WebSocket {
			ask(apiGateway, "route "+r.Key, arn("execute-api", apis["WEBSOCKET"]+"/dev/"+r.Key), true)
			ask(apiGateway, "route "+r.Key+" of another API", arn("execute-api", "other/dev/"+r.Key), false)
		}
		for _, r := range f.HTTP {
			_, path, _ := strings.Cut(r, " ")
			ask(apiGateway, "route "+r, arn("execute-api", apis["HTTP"]+"/$default/POST"+path), true)
			ask(apiGateway, "route "+r+" of another API", arn("execute-api", "other/$default/POST"+path), false)
		}
		for _, rule := range rules {
			scheduled := t.Resources[rule].Properties["ScheduleExpression"] != nil
			ask(eventBridge, "invoke "+f.Name+" by "+rule, t.arn(rule), !scheduled && len(f.Events) > 0 || scheduled && f.Schedule != "")
		}
		ask(eventBridge, "invoke "+f.Name+" by another rule", arn("events", "rule/other"), false)
		ask("s3.amazonaws.com", "invoke "+f.Name, "arn:aws:s3:::bucket", false)
	}
	return all
}

// invocationPolicies are the resource policies of functions, by logical id, that Lambda
// makes from permissions.
func (t template) invocationPolicies() map[string]any {
	statements := map[string][]any{}
	for _, id := range t.of("AWS::Lambda::Permission") {
		p := t.Resources[id].Properties
		function := p["FunctionName"].(map[string]any)["Fn::GetAtt"].([]any)[0].(string)
		statements[function] = append(statements[function], map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"Service": t.resolve(p["Principal"])},
			"Action": p["Action"], "Resource": t.arn(function),
			"Condition": map[string]any{"ArnLike": map[string]any{"aws:SourceArn": t.resolve(p["SourceArn"])}},
		})
	}
	policies := map[string]any{}
	for function, all := range statements {
		policies[function] = map[string]any{"Version": "2012-10-17", "Statement": all}
	}
	return policies
}

// deadLetters are requests of EventBridge to the dead-letter queue, which only the rule may
// make.
func deadLetters(t template) []request {
	rules := slices.DeleteFunc(t.of("AWS::Events::Rule"), func(id string) bool {
		return t.Resources[id].Properties["ScheduleExpression"] != nil // it sends no dead letters
	})
	own := len(rules) > 0
	rule := arn("events", "rule/"+t.stack+"/rule")
	if own {
		rule = t.arn(rules[0])
	}
	var all []request
	for _, id := range t.of("AWS::SQS::QueuePolicy") {
		queue := t.arn(t.of("AWS::SQS::Queue")[0])
		policy := t.resolve(t.Resources[id].Properties["PolicyDocument"])
		for _, q := range []struct {
			name, action, source, tls string
			allowed                   bool
		}{
			{"send a dead letter for the rule", "sqs:SendMessage", rule, "true", own},
			{"send a dead letter without TLS", "sqs:SendMessage", rule, "false", false},
			{"send a dead letter for another rule", "sqs:SendMessage", rule + "2", "true", false},
			{"receive dead letters", "sqs:ReceiveMessage", rule, "true", false},
		} {
			all = append(all, request{
				by: eventBridge, name: q.name, allowed: q.allowed,
				Principal: eventBridge, Action: q.action, Resource: queue, ResourcePolicy: policy,
				Context: map[string]any{"aws:SourceArn": q.source, "aws:SecureTransport": q.tls},
			})
		}
	}
	return all
}
