// Package config reads the settings of a Lambda from its environment.
//
// It owns the names of the environment variables, which the CDK stack and the
// local stack use to set them, so that reader and writer cannot drift apart. It
// knows nothing of what the settings are used for and never reads the process
// environment itself.
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
	// It is never a custom domain name, which does not serve @connections.
	// Functions that send nothing to connections do without.
	ManagementURL = "CENTRIFUGE_MANAGEMENT_URL"
	// Concurrency is the number of posts to connections under way at once, from 1
	// to 1024. Default 64.
	Concurrency = "CENTRIFUGE_CONCURRENCY"
	// InsecureCallbacks, when "true", lets validate_url be plain http and point at
	// private addresses. UNSAFE: only for the stack on one machine.
	InsecureCallbacks = "CENTRIFUGE_INSECURE_CALLBACKS"
	// MetricsNamespace is the CloudWatch namespace of the metrics of deliveries, such
	// as "Centrifuge/dev". Empty means that none are written.
	MetricsNamespace = "CENTRIFUGE_METRICS_NAMESPACE"
	// LogLevel is debug, info, warn or error. Default info.
	LogLevel = "CENTRIFUGE_LOG_LEVEL"
	// DynamoDBEndpoint points the store at another DynamoDB: dynoxide, DynamoDB
	// Local, LocalStack. Empty means AWS.
	DynamoDBEndpoint = "DYNAMODB_ENDPOINT"

	// Region and the three below are set by Lambda itself: the region, and the
	// credentials of the function's role, which outlive its execution environment.
	Region          = "AWS_REGION"
	AccessKeyID     = "AWS_ACCESS_KEY_ID"
	SecretAccessKey = "AWS_SECRET_ACCESS_KEY"
	SessionToken    = "AWS_SESSION_TOKEN"

	// DemoProject is the id of the project that the example application uses.
	// Default "demo".
	DemoProject = "CENTRIFUGE_DEMO_PROJECT"
	// WebSocketURL is the wss:// address that the example application and the admin
	// pages connect to.
	WebSocketURL = "CENTRIFUGE_WEBSOCKET_URL"
	// HTTPURL is the address of the server API, of the example application and of the
	// admin pages.
	HTTPURL = "CENTRIFUGE_HTTP_URL"

	// AdminSecret is the name or ARN of the secret, in Secrets Manager, whose plain
	// text is the password of the admin pages.
	AdminSecret = "CENTRIFUGE_ADMIN_SECRET"
	// AdminPassword is that password itself. UNSAFE: whoever may read a function's
	// configuration reads it; only for the stack on one machine.
	AdminPassword = "CENTRIFUGE_ADMIN_PASSWORD"

	// EventBus is the name of the EventBridge bus that messages of categories with
	// hooks go to. Empty means that none do.
	EventBus = "CENTRIFUGE_EVENT_BUS"
	// EventBridgeEndpoint points event hooks at another EventBridge. Empty means AWS.
	EventBridgeEndpoint = "EVENTBRIDGE_ENDPOINT"
	// SecretsManagerEndpoint points the admin pages at another Secrets Manager. Empty
	// means AWS.
	SecretsManagerEndpoint = "SECRETSMANAGER_ENDPOINT"
)

// Config is what a Lambda was told by its environment.
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
	AdminSecret       string
	AdminPassword     string
	EventBus          string

	EventBridgeEndpoint, SecretsManagerEndpoint string
}

// Load reads the configuration through getenv, which has the contract of
// os.Getenv. It fails, naming the variable, when a required one is absent or one
// cannot be understood.
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
		AdminSecret:      getenv(AdminSecret),
		AdminPassword:    getenv(AdminPassword),
		EventBus:         getenv(EventBus),

		EventBridgeEndpoint: getenv(EventBridgeEndpoint), SecretsManagerEndpoint: getenv(SecretsManagerEndpoint),
	}
	for name, value := range map[string]string{Table: c.Table, Region: c.Region} {
		if value == "" {
			return Config{}, fmt.Errorf("%s is not set", name)
		}
	}
	if c.DemoProject == "" {
		c.DemoProject = "demo"
	}
	for name, value := range map[string]string{
		ManagementURL: c.ManagementURL, DynamoDBEndpoint: c.DynamoDBEndpoint,
		WebSocketURL: c.WebSocketURL, HTTPURL: c.HTTPURL,
		EventBridgeEndpoint: c.EventBridgeEndpoint, SecretsManagerEndpoint: c.SecretsManagerEndpoint,
	} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme == "" || u.Host == "") {
			return Config{}, fmt.Errorf("%s is not a URL: %q", name, value)
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
			return Config{}, fmt.Errorf("%s is neither true nor false: %q", InsecureCallbacks, s)
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
