package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// projectItem is the item of a project without its keys. An option is an attribute of
// the same name.
type projectItem struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
	// PreviousUntil is in seconds since 1970.
	PreviousSecret string   `json:"previous_secret,omitempty"`
	PreviousUntil  int64    `json:"previous_secret_until,omitempty"`
	APIKeyHashes   []string `json:"api_keys,omitempty"`
	// APIKeyLabels are newer than API keys: a key may have none.
	APIKeyLabels map[string]labelItem `json:"api_key_labels,omitempty"`
	hub.ProjectOptions
	Creation string `json:"creation,omitempty"`
	Revision int    `json:"revision"`
}

// labelItem describes an API key. Created is in seconds since 1970.
type labelItem struct {
	Name    string `json:"name,omitempty"`
	Created int64  `json:"created"`
}

// encodeLabels returns nil for no labels, so that the item has no such attribute.
func encodeLabels(labels map[string]hub.APIKeyLabel) map[string]labelItem {
	if len(labels) == 0 {
		return nil
	}
	items := make(map[string]labelItem, len(labels))
	for hash, l := range labels {
		items[hash] = labelItem{l.Name, l.Created.Unix()}
	}
	return items
}

// decodeLabels returns nil for no labels.
func decodeLabels(items map[string]labelItem) map[string]hub.APIKeyLabel {
	if len(items) == 0 {
		return nil
	}
	labels := make(map[string]hub.APIKeyLabel, len(items))
	for hash, i := range items {
		labels[hash] = hub.APIKeyLabel{Name: i.Name, Created: time.Unix(i.Created, 0).UTC()}
	}
	return labels
}

// encodeItem makes an item of v. Its JSON tags name the attributes.
func encodeItem(v any) (item, error) {
	return attributevalue.MarshalMapWithOptions(v, func(o *attributevalue.EncoderOptions) { o.TagKey = "json" })
}

// decodeItem is the reverse of encodeItem.
func decodeItem(i item, v any) error {
	return attributevalue.UnmarshalMapWithOptions(i, v, func(o *attributevalue.DecoderOptions) { o.TagKey = "json" })
}

// attrRevision is the attribute of projects and categories that conditions name.
const attrRevision = "revision"

// attrKeyProject is the attribute of an API key's item that holds the project id.
const attrKeyProject = "project"

// Project is one request, and none while the value of an earlier call is cached.
func (s *Store) Project(ctx context.Context, id string) (*hub.Project, error) {
	if p, ok := s.projects.get(id); ok && (p.PreviousSecret == "" || s.now().Before(p.PreviousUntil)) {
		return p, nil
	}
	if len(projectKey(id)) > maxPartitionKey {
		return nil, hub.ErrProjectNotFound
	}
	read := s.now()
	p, err := s.readProject(ctx, id)
	if err != nil {
		return nil, err
	}
	s.projects.put(id, p, read)
	return p, nil
}

// ReadProject is one request.
func (s *Store) ReadProject(ctx context.Context, id string) (*hub.Project, error) {
	if len(projectKey(id)) > maxPartitionKey {
		return nil, hub.ErrProjectNotFound
	}
	return s.readProject(ctx, id)
}

func (s *Store) readProject(ctx context.Context, id string) (*hub.Project, error) {
	items, err := s.projectItems(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read project %q: %w", id, err)
	}
	p, err := decodeProject(id, items, s.now())
	if err != nil {
		return nil, fmt.Errorf("read project %q: %w", id, err)
	}
	if p == nil {
		return nil, hub.ErrProjectNotFound
	}
	return p, nil
}

// projectItems reads a project and its categories, as the last write left them: so what is
// cached is never older than the cache allows.
func (s *Store) projectItems(ctx context.Context, id string) ([]item, error) {
	e, err := expression.NewBuilder().WithKeyCondition(
		expression.Key(schema.PartitionKey).Equal(expression.Value(projectKey(id)))).Build()
	if err != nil {
		return nil, err
	}
	var items []item
	for page, err := range s.pages(ctx, &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true),
		KeyConditionExpression:   e.KeyCondition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}) {
		if err != nil {
			return nil, err
		}
		items = append(items, page...)
	}
	return items, nil
}

// decodeProject returns nil where the items do not contain the project itself. It leaves out a
// previous secret that has ended at now.
func decodeProject(id string, items []item, now time.Time) (p *hub.Project, err error) {
	categories := make(map[string]hub.Category)
	for _, i := range items {
		if textOf(i, schema.SortKey) != singletonSort {
			c, err := decodeCategory(i)
			if err != nil {
				return nil, err
			}
			categories[c.Name] = c
			continue
		}
		var v projectItem
		if err := decodeItem(i, &v); err != nil {
			return nil, err
		}
		p = &hub.Project{
			ID: id, Name: v.Name, Secret: v.Secret, APIKeyHashes: v.APIKeyHashes, APIKeyLabels: decodeLabels(v.APIKeyLabels), Options: v.ProjectOptions,
			Creation: v.Creation, Revision: v.Revision, Categories: categories,
		}
		if until := time.Unix(v.PreviousUntil, 0).UTC(); v.PreviousSecret != "" && now.Before(until) {
			p.PreviousSecret, p.PreviousUntil = v.PreviousSecret, until
		}
	}
	return p, nil
}

// PutProject writes a project without its categories, which PutCategory writes. The
// API keys of p replace those of the project; other Stores see this when their cache
// expires. It fails with ErrConflict when the project was written after p was
// read, or exists where the Revision is 0, and with ErrBadRequest when an API key
// belongs to another project. Two requests, one for each API key, and one for every 25
// keys that it removes.
func (s *Store) PutProject(ctx context.Context, p *hub.Project) error {
	// The list entry comes first: readers skip an entry without a project.
	if err := s.list(ctx, p.ID); err != nil {
		return fmt.Errorf("list project %q: %w", p.ID, err)
	}
	// The items of the keys come before the project: a key is valid only where the
	// project lists it.
	for _, hash := range p.APIKeyHashes {
		if err := s.putAPIKey(ctx, p.ID, hash); err != nil {
			return fmt.Errorf("write API key of project %q: %w", p.ID, err)
		}
	}
	v := projectItem{
		Name: p.Name, Secret: p.Secret, APIKeyHashes: p.APIKeyHashes, APIKeyLabels: encodeLabels(p.APIKeyLabels),
		ProjectOptions: p.Options, Creation: p.Creation, Revision: p.Revision + 1,
	}
	if p.PreviousSecret != "" {
		v.PreviousSecret, v.PreviousUntil = p.PreviousSecret, p.PreviousUntil.Unix()
	}
	i, err := encodeItem(v)
	if err != nil {
		return fmt.Errorf("write project %q: %w", p.ID, err)
	}
	i[schema.PartitionKey], i[schema.SortKey] = text(projectKey(p.ID)), text(singletonSort)
	in := &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i, ReturnValues: types.ReturnValueAllOld}
	e, err := expression.NewBuilder().WithCondition(unchanged(p.Revision)).Build()
	if err != nil {
		return fmt.Errorf("write project %q: %w", p.ID, err)
	}
	in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = e.Condition(), e.Names(), e.Values()
	out, err := s.db.PutItem(ctx, in)
	s.projects.drop(p.ID)
	if _, ok := conditionFailed(err); ok {
		return hub.ErrConflict.With("the project has changed: load it again")
	}
	if err != nil {
		return fmt.Errorf("write project %q: %w", p.ID, err)
	}
	var old projectItem
	if err := decodeItem(out.Attributes, &old); err != nil {
		return fmt.Errorf("write project %q: %w", p.ID, err)
	}
	var stale []types.WriteRequest
	for _, hash := range old.APIKeyHashes {
		if !slices.Contains(p.APIKeyHashes, hash) {
			stale = append(stale, remove(apiKeyKey(hash), singletonSort))
		}
	}
	if err := s.write(ctx, stale); err != nil {
		return fmt.Errorf("remove API keys of project %q: %w", p.ID, err)
	}
	return nil
}

// unchanged is the condition that an item has this revision; 0 means that there is no
// item, or one that was written before items had revisions.
func unchanged(revision int) expression.ConditionBuilder {
	if revision == 0 {
		return expression.AttributeNotExists(expression.Name(attrRevision))
	}
	return expression.Name(attrRevision).Equal(expression.Value(revision))
}

func (s *Store) putAPIKey(ctx context.Context, project, hash string) error {
	e, err := expression.NewBuilder().WithCondition(
		absent().Or(expression.Name(attrKeyProject).Equal(expression.Value(project)))).Build()
	if err != nil {
		return err
	}
	i := key(apiKeyKey(hash), singletonSort)
	i[attrKeyProject] = text(project)
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(s.table), Item: i, ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	})
	if _, ok := conditionFailed(err); ok {
		return hub.ErrBadRequest.With("an API key belongs to another project")
	}
	return err
}

// ProjectByAPIKeyHash returns the project that has an API key with this hash, which is
// lower-case hexadecimal SHA-256, under the contract of Project: it fails with
// ErrProjectNotFound where the hash is unknown. The caller compares the hash with those
// of the project. Two requests; none while both are cached.
func (s *Store) ProjectByAPIKeyHash(ctx context.Context, hash string) (*hub.Project, error) {
	id, ok := s.apiKeys.get(hash)
	if !ok {
		read := s.now()
		out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(s.table), Key: key(apiKeyKey(hash), singletonSort)})
		if err != nil {
			return nil, fmt.Errorf("read API key: %w", err)
		}
		if len(out.Item) == 0 {
			return nil, hub.ErrProjectNotFound
		}
		id = textOf(out.Item, attrKeyProject)
		s.apiKeys.put(hash, id, read)
	}
	return s.Project(ctx, id)
}

// DeleteProject removes a project with its categories and API keys. A project that
// does not exist is no error. Its connections stay until they end, and their commands
// fail. A repeated call completes a deletion that was interrupted.
func (s *Store) DeleteProject(ctx context.Context, id string) error {
	items, err := s.projectItems(ctx, id)
	if err != nil {
		return fmt.Errorf("read project %q: %w", id, err)
	}
	p, err := decodeProject(id, items, s.now())
	if err != nil {
		return fmt.Errorf("read project %q: %w", id, err)
	}
	var parts []types.WriteRequest
	for _, i := range items {
		if sort := textOf(i, schema.SortKey); sort != singletonSort {
			parts = append(parts, remove(projectKey(id), sort))
		}
	}
	if p != nil {
		for _, hash := range p.APIKeyHashes {
			parts = append(parts, remove(apiKeyKey(hash), singletonSort))
		}
	}
	if err = s.write(ctx, parts); err == nil {
		// Together and last: a repeated call finds the parts that remain.
		err = s.transact(ctx, s.deletion(key(projectKey(id), singletonSort)), s.deletion(key(listKey, id)))
	}
	s.projects.drop(id)
	if err != nil {
		return fmt.Errorf("delete project %q: %w", id, err)
	}
	return nil
}
