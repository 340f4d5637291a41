package construct

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
)

// sequence makes CloudFormation create the parts of one API one after another, and its
// stage last. API Gateway answers concurrent changes of an API with conflicts, which
// can fail a deployment.
type sequence struct{ stage, last awscdk.CfnResource }

// newSequence begins a sequence that ends with a stage.
func newSequence(stage constructs.IConstruct) *sequence {
	return &sequence{stage: stage.Node().DefaultChild().(awscdk.CfnResource)}
}

// add appends the integrations, routes and route responses that whole is made of.
func (s *sequence) add(whole constructs.IConstruct) {
	for _, part := range *whole.Node().FindAll(constructs.ConstructOrder_PREORDER) {
		r, ok := part.(awscdk.CfnResource)
		if !ok || !strings.HasPrefix(*r.CfnResourceType(), "AWS::ApiGatewayV2::") {
			continue
		}
		if s.last != nil {
			s.stage.RemoveResourceDependency(s.last)
			r.AddResourceDependency(s.last, nil)
		}
		s.stage.AddResourceDependency(r, nil)
		s.last = r
	}
}
