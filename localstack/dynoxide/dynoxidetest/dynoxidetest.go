// Package dynoxidetest gives tests a DynamoDB.
package dynoxidetest

import (
	"context"
	"os"
	"testing"
	"time"

	"centrifuge/localstack/dynoxide"
	"centrifuge/pkg/config"
)

// Endpoint is the address of a DynamoDB for a test: what DYNAMODB_ENDPOINT names
// if that is set, otherwise an empty dynoxide in memory that ends with the test.
// On one from the environment tables of others may exist, and those that the test
// makes are its own to delete.
func Endpoint(tb testing.TB) string {
	tb.Helper()
	if endpoint := os.Getenv(config.DynamoDBEndpoint); endpoint != "" {
		return endpoint
	}
	// The bound is for a first start, which downloads.
	ctx, cancel := context.WithTimeout(tb.Context(), 3*time.Minute)
	defer cancel()
	s, err := dynoxide.Start(ctx, dynoxide.Options{Progress: os.Stderr})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s.Endpoint()
}
