package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// DashboardProps describes a Dashboard. Every field is required.
type DashboardProps struct {
	// Name is the dashboard's name, of letters, digits, "-" and "_", unique in the
	// account.
	Name string
}

// Dashboard is a page of graphs in the console of CloudWatch.
type Dashboard struct {
	constructs.Construct
	name      string
	dashboard awscloudwatch.Dashboard
}

// Graph shows metrics over time.
type Graph struct {
	Title   string
	Metrics []awscloudwatch.IMetric
}

// NewDashboard makes an empty dashboard that shows the last three hours.
func NewDashboard(scope constructs.Construct, id *string, props *DashboardProps) *Dashboard {
	this := constructs.NewConstruct(scope, id)
	return &Dashboard{
		Construct: this,
		name:      props.Name,
		dashboard: awscloudwatch.NewDashboard(this, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
			DashboardName:   jsii.String(props.Name),
			DefaultInterval: awscdk.Duration_Hours(jsii.Number(3)),
		}),
	}
}

// columns is the width of every dashboard.
const columns = 24

// Row adds a row of graphs.
func (d *Dashboard) Row(graphs ...Graph) {
	var row []awscloudwatch.IWidget
	for _, g := range graphs {
		row = append(row, awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title:     jsii.String(g.Title),
			Left:      &g.Metrics,
			LeftYAxis: &awscloudwatch.YAxisProps{Min: jsii.Number(0), ShowUnits: jsii.Bool(false)},
			Width:     jsii.Number(columns / len(graphs)),
			Height:    jsii.Number(6),
		}))
	}
	d.dashboard.AddWidgets(row...)
}

// Alarms adds a row with the state of alarms.
func (d *Dashboard) Alarms(alarms *Alarms) {
	d.dashboard.AddWidgets(awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
		Title:  jsii.String("Alarms"),
		Alarms: &alarms.all,
		Width:  jsii.Number(columns),
		Height: jsii.Number(3),
	}))
}

// URL is the address of the dashboard in the console.
func (d *Dashboard) URL() string {
	region := *awscdk.Stack_Of(d.Construct).Region()
	return "https://" + region + ".console.aws.amazon.com/cloudwatch/home?region=" + region + "#dashboards/dashboard/" + d.name
}
