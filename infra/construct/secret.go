package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// passwordLength is the length of a generated password: 190 bits with an alphabet of
// 62 characters.
const passwordLength = 32

// SecretProps describes a Secret. Every field is required.
type SecretProps struct {
	// Name is the name of the secret, unique in the account and region. It must not
	// end in a dash and six characters, as the ARNs of secrets do.
	Name string
	// Description is shown in the console.
	Description string
}

// Secret is a generated password in Secrets Manager. The template does not hold it.
type Secret struct {
	constructs.Construct
	name   string
	secret awssecretsmanager.Secret
}

// NewSecret makes a secret of 32 letters and digits, which can be typed and pasted
// anywhere. It is plain text, not the JSON that Secrets Manager uses for databases.
// It is deleted with the stack. CloudFormation deletes secrets without a recovery
// window, so that the next stack can use the name. A deployment keeps the password
// unless it changes how passwords are generated.
//
// It is encrypted with the key that AWS manages in the account (aws/secretsmanager).
// The key costs nothing, and a role that reads the secret needs no right to use it.
func NewSecret(scope constructs.Construct, id *string, props *SecretProps) *Secret {
	this := constructs.NewConstruct(scope, id)
	secret := awssecretsmanager.NewSecret(this, jsii.String("Secret"), &awssecretsmanager.SecretProps{
		SecretName:  jsii.String(props.Name),
		Description: jsii.String(props.Description),
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
			PasswordLength:     jsii.Number(passwordLength),
			ExcludePunctuation: jsii.Bool(true),
		},
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	return &Secret{Construct: this, name: props.Name, secret: secret}
}

// Name is the name of the secret.
func (s *Secret) Name() string { return s.name }

// ARN is the ARN of the secret. It is known when the secret exists, so CloudFormation
// makes a resource that references it after the secret. The name has no such effect.
func (s *Secret) ARN() string { return *s.secret.SecretArn() }

// AllowRead allows to read the secret.
func (s *Secret) AllowRead() awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, s.ARN())
}
