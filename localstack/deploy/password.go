package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/store"
)

// setAdminPassword gives the deployed stack a new admin password: it generates one, stores
// its hash in the table, and writes it to out, alone in a line. What a person should know
// goes to notes. It uses the region and the credentials of the AWS SDK's default chain.
func setAdminPassword(ctx context.Context, path string, out, notes io.Writer) error {
	o, err := deployedOutputs(path)
	if err != nil {
		return err
	}
	if o.AdminURL == "" {
		return errors.New("the stack has no admin pages: deploy it with ADMIN=true, the default")
	}
	cloud, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read AWS configuration: %w", err)
	}
	if cloud.Region == "" {
		return errors.New("no AWS region: set AWS_REGION to the one of the deployment")
	}
	if _, err := cloud.Credentials.Retrieve(ctx); err != nil {
		return fmt.Errorf("no AWS credentials: set those of the deployment, such as AWS_PROFILE: %w", err)
	}
	password := auth.NewPassword()
	err = store.New(dynamodb.NewFromConfig(cloud), o.TableName, store.Options{}).PutAdminPassword(ctx, auth.HashPassword(password))
	if missing := new(types.ResourceNotFoundException); errors.As(err, &missing) {
		return fmt.Errorf("the table %s of %s is not in %s, in the account of these credentials: use the region and the credentials of the deployment, or deploy the stack again",
			o.TableName, path, cloud.Region)
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, password); err != nil {
		return fmt.Errorf("print the password: %w: run make admin-password again", err)
	}
	fmt.Fprintf(notes, "This is the password of %s. It is stored nowhere: keep it. All sessions with an earlier one have ended.\n", o.AdminURL)
	return nil
}
