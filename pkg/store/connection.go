package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// maxPermissionsBytes keeps the item of a connection, channels included, well under
// DynamoDB's limit of 400 KB.
const maxPermissionsBytes = 256 << 10

// connectionItem is the item of a connection without its keys. It expires with the
// connection even if the token expires earlier: time to live must not remove a connection
// that can authenticate again.
type connectionItem struct {
	Expires      int64    `dynamodbav:"exp"`
	Origin       string   `dynamodbav:"origin,omitempty"`
	Project      string   `dynamodbav:"project,omitempty"`
	User         string   `dynamodbav:"user,omitempty"` // userKey of a named user
	Info         string   `dynamodbav:"info,omitempty"`
	Permissions  string   `dynamodbav:"permissions,omitempty"`
	Protocol     string   `dynamodbav:"protocol,omitempty"`
	TokenExpires int64    `dynamodbav:"token_exp,omitempty"`
	Channels     []string `dynamodbav:"channels,omitempty"` // members
}

// The attributes of a connection that expressions name.
const (
	attrProject      = "project"
	attrInfo         = "info"
	attrPermissions  = "permissions"
	attrProtocol     = "protocol"
	attrTokenExpires = "token_exp"
	attrChannels     = "channels"
)

// decodeConnection fails with ErrConnectionNotFound if there is no item or it has expired
// at now.
func decodeConnection(i item, now time.Time) (hub.Connection, error) {
	if len(i) == 0 {
		return hub.Connection{}, hub.ErrConnectionNotFound
	}
	c, err := readConnection(i)
	if err == nil && c.Expires.Unix() <= now.Unix() {
		return hub.Connection{}, hub.ErrConnectionNotFound
	}
	return c, err
}

// readConnection reads a connection's item, expired or not.
func readConnection(i item) (hub.Connection, error) {
	var v connectionItem
	if err := attributevalue.UnmarshalMap(i, &v); err != nil {
		return hub.Connection{}, err
	}
	id, err := parseConnectionKey(textOf(i, schema.PartitionKey))
	if err != nil {
		return hub.Connection{}, err
	}
	c := hub.Connection{
		ID: id, Origin: v.Origin, Expires: time.Unix(v.Expires, 0),
		Project: v.Project, Protocol: hub.Protocol(v.Protocol),
	}
	if v.User != "" {
		if _, c.User, err = parseUserKey(v.User); err != nil {
			return hub.Connection{}, err
		}
	}
	if v.Info != "" {
		c.Info = json.RawMessage(v.Info)
	}
	if v.Permissions != "" {
		if err := json.Unmarshal([]byte(v.Permissions), &c.Permissions); err != nil {
			return hub.Connection{}, fmt.Errorf("permissions: %w", err)
		}
	}
	if v.TokenExpires != 0 {
		c.TokenExpires = time.Unix(v.TokenExpires, 0)
	}
	if len(v.Channels) > 0 {
		c.Channels = make(map[hub.Channel]int, len(v.Channels))
	}
	for _, m := range v.Channels {
		ch, shard, err := parseMember(v.Project, m)
		if err != nil {
			return hub.Connection{}, err
		}
		c.Channels[ch] = shard
	}
	return c, nil
}

// OpenConnection is one request.
func (s *Store) OpenConnection(ctx context.Context, c hub.Connection) error {
	i, err := attributevalue.MarshalMap(connectionItem{Expires: c.Expires.Unix(), Origin: c.Origin})
	if err != nil {
		return fmt.Errorf("open connection %s: %w", c.ID, err)
	}
	i[schema.PartitionKey], i[schema.SortKey] = text(connectionKey(c.ID)), text(singletonSort)
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i}); err != nil {
		return fmt.Errorf("open connection %s: %w", c.ID, err)
	}
	return nil
}

// Authenticate is one request. A new identity replaces one whose token has expired as
// a whole; the connection is in no channel then, since its subscriptions expired with
// the token. Beyond the contract it fails with ErrLimitExceeded when the permissions
// are over 256 KB.
func (s *Store) Authenticate(ctx context.Context, c hub.Connection, now time.Time) (before, after hub.Connection, err error) {
	permissions, err := encodePermissions(c.Permissions)
	if err != nil {
		return hub.Connection{}, hub.Connection{}, fmt.Errorf("authenticate connection %s: %w", c.ID, err)
	}
	set := func(u expression.UpdateBuilder, name string, present bool, value any) expression.UpdateBuilder {
		if !present {
			return u.Remove(expression.Name(name))
		}
		return u.Set(expression.Name(name), expression.Value(value))
	}
	update := expression.Set(expression.Name(attrProject), expression.Value(c.Project)).
		Set(expression.Name(attrPermissions), expression.Value(permissions)).
		Set(expression.Name(attrProtocol), expression.Value(string(c.Protocol))).
		Remove(expression.Name(attrChannels))
	update = set(update, schema.UserKey, c.User != "", userKey(c.Project, c.User))
	update = set(update, attrInfo, len(c.Info) > 0, string(c.Info))
	update = set(update, attrTokenExpires, !c.TokenExpires.IsZero(), c.TokenExpires.Unix())
	unauthenticated := expression.AttributeNotExists(expression.Name(attrProject)).
		Or(expression.Name(attrTokenExpires).LessThanEqual(expression.Value(now.Unix())))
	e, err := expression.NewBuilder().WithUpdate(update).WithCondition(exists().And(live(now), unauthenticated)).Build()
	if err != nil {
		return hub.Connection{}, hub.Connection{}, fmt.Errorf("authenticate connection %s: %w", c.ID, err)
	}
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(s.table), Key: key(connectionKey(c.ID), singletonSort),
		UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
		ReturnValues:                        types.ReturnValueAllOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, ok := conditionFailed(err); ok {
		present, err := decodeConnection(old, now)
		if err != nil {
			return hub.Connection{}, hub.Connection{}, fmt.Errorf("authenticate connection %s: %w", c.ID, err)
		}
		// The SDK repeats a request whose answer was lost, and a client its auth.
		if same, err := sameIdentity(present, c); !same || err != nil {
			return hub.Connection{}, hub.Connection{}, err
		}
		return hub.Connection{}, present, nil
	}
	if err != nil {
		return hub.Connection{}, hub.Connection{}, fmt.Errorf("authenticate connection %s: %w", c.ID, err)
	}
	before, err = readConnection(out.Attributes)
	if err != nil {
		return hub.Connection{}, hub.Connection{}, fmt.Errorf("authenticate connection %s: %w", c.ID, err)
	}
	after = c
	after.Origin, after.Expires = before.Origin, before.Expires
	if before.Project == "" {
		before = hub.Connection{}
	}
	return before, after, nil
}

// sameIdentity tells whether two connections have the same identity.
func sameIdentity(a, b hub.Connection) (bool, error) {
	one, err := encodePermissions(a.Permissions)
	if err != nil {
		return false, err
	}
	other, err := encodePermissions(b.Permissions)
	return a.Project == b.Project && a.User == b.User && a.Protocol == b.Protocol && one == other &&
		bytes.Equal(a.Info, b.Info) && a.TokenExpires.Unix() == b.TokenExpires.Unix(), err
}

func encodePermissions(p hub.Permissions) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	// Each escape for HTML would make six bytes of one.
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return "", err
	}
	if b.Len() > maxPermissionsBytes {
		return "", hub.ErrLimitExceeded.With("permissions are over 256 KB")
	}
	return b.String(), nil
}

// Connection is one request.
func (s *Store) Connection(ctx context.Context, id string) (hub.Connection, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.table), Key: key(connectionKey(id), singletonSort), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return hub.Connection{}, fmt.Errorf("read connection %s: %w", id, err)
	}
	c, err := decodeConnection(out.Item, s.now())
	if err != nil {
		return hub.Connection{}, fmt.Errorf("read connection %s: %w", id, err)
	}
	return c, nil
}

// CloseConnection is one request, and one for every 25 subscriptions.
func (s *Store) CloseConnection(ctx context.Context, id string) (hub.Connection, error) {
	// The deleted item names the subscriptions, and none can be added afterwards. One that
	// is being written at this moment becomes an orphan: it expires, or RemoveSubscriber
	// removes it.
	out, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(s.table), Key: key(connectionKey(id), singletonSort), ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		return hub.Connection{}, fmt.Errorf("close connection %s: %w", id, err)
	}
	if len(out.Attributes) == 0 {
		return hub.Connection{}, nil
	}
	c, err := readConnection(out.Attributes)
	if err != nil {
		return hub.Connection{}, fmt.Errorf("close connection %s: %w", id, err)
	}
	var requests []types.WriteRequest
	for ch, shard := range c.Channels {
		requests = append(requests, remove(subscriptionKey(ch, shard), id))
	}
	if err := s.write(ctx, requests); err != nil {
		return c, fmt.Errorf("remove subscriptions of connection %s: %w", id, err)
	}
	return c, nil
}

// UserConnections is one request for the index, and one for every 100 connections. The
// index is eventually consistent: a connection that has just authenticated may be missing.
// The connections are returned as the last write left them.
func (s *Store) UserConnections(ctx context.Context, project, user string) ([]hub.Connection, error) {
	if user == "" {
		return nil, nil
	}
	keys, err := s.userKeys(ctx, project, user)
	if err != nil {
		return nil, fmt.Errorf("find connections of user %q: %w", user, err)
	}
	items, err := s.read(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read connections of user %q: %w", user, err)
	}
	var connections []hub.Connection
	for _, i := range items {
		c, err := decodeConnection(i, s.now())
		switch {
		case errors.Is(err, hub.ErrConnectionNotFound):
		case err != nil:
			return nil, fmt.Errorf("read connections of user %q: %w", user, err)
		case c.Project == project && c.User == user:
			// The index may be late: the connection may have another user now.
			connections = append(connections, c)
		}
	}
	return connections, nil
}

// userKeys reads the keys of a user's connections from the index.
func (s *Store) userKeys(ctx context.Context, project, user string) ([]item, error) {
	e, err := expression.NewBuilder().WithKeyCondition(
		expression.Key(schema.UserKey).Equal(expression.Value(userKey(project, user)))).Build()
	if err != nil {
		return nil, err
	}
	var keys []item
	for page, err := range s.pages(ctx, &dynamodb.QueryInput{
		TableName: aws.String(s.table), IndexName: aws.String(schema.UserIndex), KeyConditionExpression: e.KeyCondition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}) {
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			keys = append(keys, key(textOf(i, schema.PartitionKey), textOf(i, schema.SortKey)))
		}
	}
	return keys, nil
}
