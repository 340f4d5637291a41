package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/localstack/seed"
	"centrifuge/pkg/store"
)

// seedFiles have the projects of the conversations, and of those of SDKs.
var seedFiles = []string{"localstack/seed.json", "localstack/sdk/seed.json"}

// seedTable seeds the deployed table with the projects of the conversations.
func seedTable(ctx context.Context, endpoint string, o outputs) error {
	for _, path := range seedFiles {
		content, err := os.ReadFile(path) //nolint:gosec // the files above
		if err != nil {
			return fmt.Errorf("read the seed: %w", err)
		}
		if _, err := seed.Apply(ctx, deployedTable(endpoint, o), content, o.HTTPURL, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// deployedTable is the deployed table.
func deployedTable(endpoint string, o outputs) *store.Store {
	return store.New(dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(testCredential, testCredential, ""),
	}), o.TableName, store.Options{})
}
