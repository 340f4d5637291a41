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
	database := dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(testCredential, testCredential, ""),
	})
	_, err = seed.Apply(ctx, store.New(database, o.TableName, store.Options{}), content, o.HTTPURL, time.Now())
	return err
}
