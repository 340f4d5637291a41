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
	// Name is a host name, such as "rt.example.com". Required.
	Name string
	// Certificate is the ARN of a certificate for the name, in the region of the
	// stack. Required.
	Certificate string
	// Zone is the id of the Route 53 zone that is to point the name at API Gateway.
	// Optional: without, somebody has to do that elsewhere.
	Zone string
}

// Domain is a host name for one API. WebSocket and HTTP APIs cannot share one; see
// "Custom domain names for WebSocket APIs" of the API Gateway developer guide.
type Domain struct {
	constructs.Construct
	Name   string
	domain awsapigatewayv2.DomainName
}

// NewDomain makes a host name that leads to no API yet.
func NewDomain(scope constructs.Construct, id *string, props *DomainProps) *Domain {
	this := constructs.NewConstruct(scope, id)
	domain := awsapigatewayv2.NewDomainName(this, jsii.String("Domain"), &awsapigatewayv2.DomainNameProps{
		DomainName: jsii.String(props.Name),
		Certificate: awscertificatemanager.Certificate_FromCertificateArn(
			this, jsii.String("Certificate"), jsii.String(props.Certificate)),
		SecurityPolicy: awsapigatewayv2.SecurityPolicy_TLS_1_2,
	})
	if props.Zone != "" {
		// An ARecord would want the name of the zone as well as its id.
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

// Target is the host name that a CNAME record for Name has to point at.
func (d *Domain) Target() string { return *d.domain.RegionalDomainName() }

// lead makes all paths of the name lead to a stage of an API. Nothing is done where
// there is no name.
func (d *Domain) lead(api interfacesawsapigatewayv2.IApiRef, stage awsapigatewayv2.IStage) {
	if d == nil {
		return
	}
	awsapigatewayv2.NewApiMapping(d.Construct, jsii.String("Mapping"), &awsapigatewayv2.ApiMappingProps{
		Api: api, DomainName: d.domain, Stage: stage,
	})
}
