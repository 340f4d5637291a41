package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/pkg/store/schema"
)

// attrHash is the attribute of the admin password.
const attrHash = "hash"

// AdminPassword returns the hash that PutAdminPassword stored last, or "" where the table
// has none. It is one consistent read: a new password ends sessions immediately.
func (s *Store) AdminPassword(ctx context.Context) (hash string, err error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.table), Key: key(passwordKey, singletonSort), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return "", fmt.Errorf("read the admin password: %w", err)
	}
	return textOf(out.Item, attrHash), nil
}

// PutAdminPassword stores the hash of the admin password, and replaces an earlier one. It
// is one write. The hash is opaque: package auth makes and reads it.
func (s *Store) PutAdminPassword(ctx context.Context, hash string) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: item{
			schema.PartitionKey: text(passwordKey), schema.SortKey: text(singletonSort), attrHash: text(hash),
		},
	})
	if err != nil {
		return fmt.Errorf("write the admin password: %w", err)
	}
	return nil
}
