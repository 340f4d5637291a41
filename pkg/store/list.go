package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// list adds a project to the list of projects.
func (s *Store) list(ctx context.Context, id string) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: key(listKey, id)})
	return err
}

// maxConcurrentReads bounds the projects that ListProjects reads concurrently.
const maxConcurrentReads = 8

// ListProjects is one request, and one more for each project.
func (s *Store) ListProjects(ctx context.Context) ([]*hub.Project, error) {
	e, err := expression.NewBuilder().WithKeyCondition(
		expression.Key(schema.PartitionKey).Equal(expression.Value(listKey))).Build()
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	var ids []string
	for page, err := range s.pages(ctx, &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true), KeyConditionExpression: e.KeyCondition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}) {
		if err != nil {
			return nil, fmt.Errorf("list projects: %w", err)
		}
		for _, i := range page {
			ids = append(ids, textOf(i, schema.SortKey))
		}
	}
	found := make([]*hub.Project, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrentReads)
	for n, id := range ids {
		g.Go(func() (err error) {
			found[n], err = s.ReadProject(ctx, id)
			if errors.Is(err, hub.ErrProjectNotFound) {
				return nil // it is being created or deleted at this moment
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	projects := slices.DeleteFunc(found, func(p *hub.Project) bool { return p == nil })
	slices.SortFunc(projects, func(a, b *hub.Project) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return projects, nil
}
