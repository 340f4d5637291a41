package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// passwordLength is that of a generated password. With 62 characters to choose from
// that is 190 bits.
const passwordLength = 32

// SecretProps describes a Secret. Every field is required.
type SecretProps struct {
	// Name is the name of the secret, unique in the account and region. It must not
	// end in a dash and six characters, as ARNs of secrets do.
	Name string
	// Description tells a reader of the console what this opens.
	Description string
}

// Secret is a password in Secrets Manager, which nobody chose and the template does
// not hold.
type Secret struct {
	constructs.Construct
	name   string
	secret awssecretsmanager.Secret
}

// NewSecret makes a secret of 32 letters and digits, which can be typed and pasted
// anywhere. It is plain text, not the JSON that Secrets Manager uses for databases.
// It goes with the stack at once: CloudFormation deletes secrets without a recovery
// window, so that the next stack can have the name. A deployment makes a new password
// only where it changes how passwords are made.
//
// It is encrypted with the key that AWS manages in the account
// (aws/secretsmanager), which costs nothing and needs no rights in the role of who
// may read it.
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

// ARN is what the secret is read by. Unlike its name, it is only known once the
// secret is there, so that whoever is told it waits for that.
func (s *Secret) ARN() string { return *s.secret.SecretArn() }

// AllowRead lets its holder read the secret.
func (s *Secret) AllowRead() awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, s.ARN())
}
