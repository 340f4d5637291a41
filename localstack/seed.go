package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/localstack/seed"
	"centrifuge/pkg/store"
)

// seedTable writes the projects of a file into a table on AWS, with the credentials and
// the region of the AWS SDK's default chain. It prints the generated secrets, which
// cannot be read later.
func seedTable(ctx context.Context, table, path string, stdout io.Writer) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	cloud, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read AWS configuration: %w", err)
	}
	st := store.New(dynamodb.NewFromConfig(cloud), table, store.Options{})
	generated, err := seed.Apply(ctx, st, content, "", time.Now())
	for _, g := range generated {
		fmt.Fprintf(stdout, "project %s\n", g.Project)
		if g.Secret != "" {
			fmt.Fprintf(stdout, "  secret   %s\n", g.Secret)
		}
		if g.APIKey != "" {
			fmt.Fprintf(stdout, "  API key  %s\n", g.APIKey)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "seeded", table)
	return nil
}
