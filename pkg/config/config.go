// Package config reads the settings of a Lambda from its environment.
//
// It defines the names of the environment variables. The CDK stack and the local stack
// set the variables by these constants. The package does not use the settings, and it
// does not read the environment of the process itself.
package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
)

// The environment variables of a Lambda.
const (
	// Table is the name of the DynamoDB table. Required.
	Table = "CENTRIFUGE_TABLE"
	// ManagementURL is the base of the API Gateway management API, up to and
	// including the stage: https://{api}.execute-api.{region}.amazonaws.com/{stage}.
	// The stack sets the execute-api address because it works with and without a custom
	// domain name. Functions that send nothing to connections do not need it.
	ManagementURL = "CENTRIFUGE_MANAGEMENT_URL"
	// Concurrency is the maximum number of concurrent posts to connections in one
	// process, from 1 to 1024. Default 64.
	Concurrency = "CENTRIFUGE_CONCURRENCY"
	// InsecureCallbacks, when true, allows plain http and private addresses in
	// validate_url and webhook_url. UNSAFE: for the local stack only.
	InsecureCallbacks = "CENTRIFUGE_INSECURE_CALLBACKS"
	// MetricsNamespace is the CloudWatch namespace of the delivery metrics, such as
	// "Centrifuge/dev". Empty disables these metrics.
	MetricsNamespace = "CENTRIFUGE_METRICS_NAMESPACE"
	// LogLevel is debug, info, warn or error. Default info.
	LogLevel = "CENTRIFUGE_LOG_LEVEL"
	// DynamoDBEndpoint is the address of another DynamoDB, such as dynoxide, DynamoDB
	// Local or LocalStack. Empty means AWS.
	DynamoDBEndpoint = "DYNAMODB_ENDPOINT"

	// Region, AccessKeyID, SecretAccessKey and SessionToken are set by Lambda: the
	// region, which is required, and the credentials of the function's role.
	Region          = "AWS_REGION"
	AccessKeyID     = "AWS_ACCESS_KEY_ID"
	SecretAccessKey = "AWS_SECRET_ACCESS_KEY"
	SessionToken    = "AWS_SESSION_TOKEN"

	// DemoProject is the project id of the example application. Default "demo".
	DemoProject = "CENTRIFUGE_DEMO_PROJECT"
	// WebSocketURL is the wss:// address that the example application and the admin
	// pages connect to.
	WebSocketURL = "CENTRIFUGE_WEBSOCKET_URL"
	// HTTPURL is the address of the server API, of the example application and of the
	// admin pages.
	HTTPURL = "CENTRIFUGE_HTTP_URL"

	// SDK is the path of the file with which pages connect, the browser build of npm
	// centrifuge. Functions without pages do not need it.
	SDK = "CENTRIFUGE_SDK"

	// DefaultProject is the id of the project of clients whose URL names none. Empty: there is
	// none.
	DefaultProject = "CENTRIFUGE_DEFAULT_PROJECT"

	// DispatchFunction is the name of the function that dispatches streams. Functions that
	// publish nothing do not need it.
	DispatchFunction = "CENTRIFUGE_DISPATCH_FUNCTION"
	// PingFunction is the name of the function that sends pings. Empty: the deployment sends none.
	PingFunction = "CENTRIFUGE_PING_FUNCTION"
	// LambdaEndpoint is the address of another Lambda. Empty means AWS.
	LambdaEndpoint = "LAMBDA_ENDPOINT"

	// EventBus is the name of the EventBridge bus that receives the messages of
	// categories with hooks. Empty disables hooks.
	EventBus = "CENTRIFUGE_EVENT_BUS"
	// EventBridgeEndpoint is the address of another EventBridge. Empty means AWS.
	EventBridgeEndpoint = "EVENTBRIDGE_ENDPOINT"
)

// Config holds the settings of a Lambda.
type Config struct {
	Table             string
	ManagementURL     string
	Concurrency       int
	InsecureCallbacks bool
	MetricsNamespace  string
	LogLevel          slog.Level
	DynamoDBEndpoint  string
	Region            string
	AccessKeyID       string
	SecretAccessKey   string
	SessionToken      string
	DemoProject       string
	WebSocketURL      string
	HTTPURL           string
	SDK               string
	EventBus          string
	DispatchFunction  string
	PingFunction      string
	LambdaEndpoint    string
	DefaultProject    string

	EventBridgeEndpoint string
}

// Load reads the settings with getenv, which has the contract of os.Getenv. It fails for
// a missing required variable and for an invalid value. The error names the variable.
func Load(getenv func(string) string) (Config, error) {
	c := Config{
		Table:            getenv(Table),
		ManagementURL:    getenv(ManagementURL),
		Concurrency:      64,
		MetricsNamespace: getenv(MetricsNamespace),
		DynamoDBEndpoint: getenv(DynamoDBEndpoint),
		Region:           getenv(Region),
		AccessKeyID:      getenv(AccessKeyID),
		SecretAccessKey:  getenv(SecretAccessKey),
		SessionToken:     getenv(SessionToken),
		DemoProject:      getenv(DemoProject),
		WebSocketURL:     getenv(WebSocketURL),
		HTTPURL:          getenv(HTTPURL),
		SDK:              getenv(SDK),
		EventBus:         getenv(EventBus),
		DispatchFunction: getenv(DispatchFunction),
		PingFunction:     getenv(PingFunction),
		LambdaEndpoint:   getenv(LambdaEndpoint),
		DefaultProject:   getenv(DefaultProject),

		EventBridgeEndpoint: getenv(EventBridgeEndpoint),
	}
	for name, value := range map[string]string{Table: c.Table, Region: c.Region} {
		if value == "" {
			return Config{}, fmt.Errorf("%s is not set: it is required", name)
		}
	}
	if c.DemoProject == "" {
		c.DemoProject = "demo"
	}
	for name, value := range map[string]string{
		ManagementURL: c.ManagementURL, DynamoDBEndpoint: c.DynamoDBEndpoint,
		WebSocketURL: c.WebSocketURL, HTTPURL: c.HTTPURL,
		EventBridgeEndpoint: c.EventBridgeEndpoint, LambdaEndpoint: c.LambdaEndpoint,
	} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme == "" || u.Host == "") {
			return Config{}, fmt.Errorf("%s is not an absolute URL: %q", name, value)
		}
	}
	if s := getenv(Concurrency); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1024 {
			return Config{}, fmt.Errorf("%s is not a number from 1 to 1024: %q", Concurrency, s)
		}
		c.Concurrency = n
	}
	if s := getenv(InsecureCallbacks); s != "" {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return Config{}, fmt.Errorf("%s is not true or false: %q", InsecureCallbacks, s)
		}
		c.InsecureCallbacks = b
	}
	if s := getenv(LogLevel); s != "" {
		if err := c.LogLevel.UnmarshalText([]byte(s)); err != nil {
			return Config{}, fmt.Errorf("%s is not debug, info, warn or error: %q", LogLevel, s)
		}
	}
	return c, nil
}
