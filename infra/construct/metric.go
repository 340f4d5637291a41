package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

// periodMinutes is the period of every metric, in graphs and in alarms.
const periodMinutes = 5

// Sum, P50, P99 and Maximum are statistics of a metric.
const (
	Sum     = "Sum"
	P50     = "p50"
	P99     = "p99"
	Maximum = "Maximum"
)

// Metric is a CloudWatch metric without dimensions, such as the sum that Lambda counts
// over all functions of an account and region.
func Metric(namespace, name, statistic string) awscloudwatch.Metric {
	return metric(namespace, name, statistic, "", nil)
}

// metric is a CloudWatch metric. Graphs show label, or its name if label is empty.
func metric(namespace, name, statistic, label string, dimensions map[string]*string) awscloudwatch.Metric {
	props := &awscloudwatch.MetricProps{
		Namespace:     jsii.String(namespace),
		MetricName:    jsii.String(name),
		Statistic:     jsii.String(statistic),
		DimensionsMap: &dimensions,
		Period:        awscdk.Duration_Minutes(jsii.Number(periodMinutes)),
	}
	// By default CloudWatch gives two percentiles of a metric the same label.
	if label == "" && (statistic == P50 || statistic == P99) {
		label = name + " " + statistic
	}
	if label != "" {
		props.Label = jsii.String(label)
	}
	return awscloudwatch.NewMetric(props)
}
