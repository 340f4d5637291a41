package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// TableProps describes a Table. The keys are strings, the expiry is a number of
// seconds since 1970; all five names are required.
type TableProps struct {
	PartitionKey, SortKey string
	// Expiry is the attribute after which DynamoDB deletes items.
	Expiry string
	// Index is the name of an index over IndexKey. It holds keys only, and only of
	// items that have IndexKey.
	Index, IndexKey string
	// Retain keeps the table and its items when the stack is deleted. A first
	// deployment that fails deletes the table in any case: it holds nothing yet.
	Retain bool
}

// Table is a DynamoDB table, billed on demand. It can be restored to any second of the
// last 35 days.
type Table struct {
	constructs.Construct
	Table awsdynamodb.Table
	index string
}

// NewTable makes a table.
//
// It is a Table, not a TableV2. TableV2 adds replicas in other regions, but a
// connection belongs to the API of one region, and so do the items about it.
//
// It is encrypted with the default key, which AWS owns and does not bill. The key that
// AWS manages in the account (aws/dynamodb) would show its use in CloudTrail, but KMS
// bills the requests that DynamoDB makes with it.
func NewTable(scope constructs.Construct, id *string, props *TableProps) *Table {
	this := constructs.NewConstruct(scope, id)

	removal := awscdk.RemovalPolicy_DESTROY
	if props.Retain {
		removal = awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	}
	table := awsdynamodb.NewTable(this, jsii.String("Table"), &awsdynamodb.TableProps{
		PartitionKey:        text(props.PartitionKey),
		SortKey:             text(props.SortKey),
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		TimeToLiveAttribute: jsii.String(props.Expiry),
		Encryption:          awsdynamodb.TableEncryption_DEFAULT,
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
		RemovalPolicy: removal,
	})
	table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:      jsii.String(props.Index),
		PartitionKey:   text(props.IndexKey),
		ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
	})
	return &Table{Construct: this, Table: table, index: props.Index}
}

// Name is the name of the table.
func (t *Table) Name() string { return *t.Table.TableName() }

// Metric is a metric of the table without its index, such as "ReadThrottleEvents".
func (t *Table) Metric(name, statistic string) awscloudwatch.IMetric {
	return metric("AWS/DynamoDB", name, statistic, "", map[string]*string{"TableName": t.Table.TableName()})
}

// Metrics are the metric of the table and the metric of its index, which DynamoDB
// counts separately.
func (t *Table) Metrics(name, statistic string) []awscloudwatch.IMetric {
	return []awscloudwatch.IMetric{
		t.Metric(name, statistic),
		metric("AWS/DynamoDB", name, statistic, name+" of index "+t.index, map[string]*string{
			"TableName": t.Table.TableName(), "GlobalSecondaryIndexName": jsii.String(t.index),
		}),
	}
}

// Allow allows actions of DynamoDB, such as "Query", on the table, not on its index.
func (t *Table) Allow(actions ...string) awsiam.PolicyStatement {
	return allow(qualified(actions), *t.Table.TableArn())
}

// AllowExcept is Allow for all partitions but one. Scan, which names no partition, is
// allowed on all of them.
func (t *Table) AllowExcept(partition string, actions ...string) awsiam.PolicyStatement {
	statement := t.Allow(actions...)
	statement.AddCondition(jsii.String("ForAllValues:StringNotEquals"), map[string][]string{
		"dynamodb:LeadingKeys": {partition},
	})
	return statement
}

// AllowPartition is Allow for the partitions whose key matches partition, in which
// "*" matches any characters.
func (t *Table) AllowPartition(partition string, actions ...string) awsiam.PolicyStatement {
	statement := t.Allow(actions...)
	statement.AddCondition(jsii.String("ForAllValues:StringLike"), map[string][]string{
		"dynamodb:LeadingKeys": {partition},
	})
	// ForAllValues is also true without any value.
	statement.AddCondition(jsii.String("Null"), map[string]string{
		"dynamodb:LeadingKeys": "false",
	})
	return statement
}

// AllowIndex is Allow on the index, not on the table.
func (t *Table) AllowIndex(actions ...string) awsiam.PolicyStatement {
	return allow(qualified(actions), *t.Table.TableArn()+"/index/"+t.index)
}

// qualified returns the names that IAM has for actions of DynamoDB.
func qualified(actions []string) []string {
	names := make([]string, 0, len(actions))
	for _, action := range actions {
		names = append(names, "dynamodb:"+action)
	}
	return names
}

func text(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
}
