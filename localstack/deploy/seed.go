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

// seedFile has the project of the conversations.
const seedFile = "localstack/seed.json"

// seedTable seeds the deployed table with the project of the conversations.
func seedTable(ctx context.Context, endpoint string, o outputs) error {
	content, err := os.ReadFile(seedFile)
	if err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	_, err = seed.Apply(ctx, deployedTable(endpoint, o), content, o.HTTPURL, time.Now())
	return err
}

// deployedTable is the deployed table.
func deployedTable(endpoint string, o outputs) *store.Store {
	return store.New(dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(testCredential, testCredential, ""),
	}), o.TableName, store.Options{})
}
