package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawsapigatewayv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// DomainProps describes a Domain.
type DomainProps struct {
	// Name is the host name, such as "rt.example.com". Required.
	Name string
	// Certificate is the ARN of a certificate for the name, in the region of the
	// stack. Required.
	Certificate string
	// Zone is the id of the Route 53 hosted zone that gets a record for the name.
	// Optional: without it, the owner of the name adds a CNAME record for Target.
	Zone string
}

// Domain is a custom domain of one API. A WebSocket API and an HTTP API cannot share
// one; see "Custom domain names for WebSocket APIs" in the API Gateway developer
// guide.
type Domain struct {
	constructs.Construct
	Name   string
	domain awsapigatewayv2.DomainName
}

// NewDomain makes a custom domain without an API.
func NewDomain(scope constructs.Construct, id *string, props *DomainProps) *Domain {
	this := constructs.NewConstruct(scope, id)
	domain := awsapigatewayv2.NewDomainName(this, jsii.String("Domain"), &awsapigatewayv2.DomainNameProps{
		DomainName: jsii.String(props.Name),
		Certificate: awscertificatemanager.Certificate_FromCertificateArn(
			this, jsii.String("Certificate"), jsii.String(props.Certificate)),
		SecurityPolicy: awsapigatewayv2.SecurityPolicy_TLS_1_2,
	})
	if props.Zone != "" {
		// An ARecord requires the name of the zone in addition to its id.
		awsroute53.NewCfnRecordSet(this, jsii.String("Record"), &awsroute53.CfnRecordSetProps{
			HostedZoneId: jsii.String(props.Zone),
			Name:         jsii.String(props.Name),
			Type:         jsii.String("A"),
			AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
				DnsName:      domain.RegionalDomainName(),
				HostedZoneId: domain.RegionalHostedZoneId(),
			},
		})
	}
	return &Domain{Construct: this, Name: props.Name, domain: domain}
}

// Target is the host name for the CNAME record of Name.
func (d *Domain) Target() string { return *d.domain.RegionalDomainName() }

// mapTo maps all paths of the domain to a stage of an API. It does nothing for a nil
// domain.
func (d *Domain) mapTo(api interfacesawsapigatewayv2.IApiRef, stage awsapigatewayv2.IStage) {
	if d == nil {
		return
	}
	awsapigatewayv2.NewApiMapping(d.Construct, jsii.String("Mapping"), &awsapigatewayv2.ApiMappingProps{
		Api: api, DomainName: d.domain, Stage: stage,
	})
}
