package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
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

// connectionItem is the item of a connection without its keys. It expires with the
// connection even if the token expires earlier: time to live must not remove a connection
// that can authenticate again. Empty values have no attribute.
type connectionItem struct {
	Expires int64  `dynamodbav:"exp"`
	Origin  string `dynamodbav:"origin,omitempty"`
	Scope   string `dynamodbav:"scope,omitempty"`
	stateItem
	// Closing is the caller of BeginClose, and ClosingUntil the end of its lease.
	Closing      string `dynamodbav:"closing,omitempty"`
	ClosingUntil int64  `dynamodbav:"closing_until,omitempty"`
}

// stateItem are the attributes that ChangeConnection writes.
type stateItem struct {
	Project      string            `dynamodbav:"project,omitempty"`
	User         string            `dynamodbav:"user,omitempty"`  // userKey of a named user
	Login        bool              `dynamodbav:"login,omitempty"` // LoggingIn
	Info         string            `dynamodbav:"info,omitempty"`
	Permissions  string            `dynamodbav:"permissions,omitempty"`
	Protocol     string            `dynamodbav:"protocol,omitempty"`
	Batch        bool              `dynamodbav:"batch,omitempty"`
	TokenExpires int64             `dynamodbav:"token_exp,omitempty"`
	Secret       string            `dynamodbav:"secret,omitempty"`
	MD5          bool              `dynamodbav:"md5,omitempty"`
	AnyOrigin    bool              `dynamodbav:"any_origin,omitempty"`
	TokenChans   string            `dynamodbav:"token_chans,omitempty"`
	Proof        string            `dynamodbav:"proof,omitempty"`
	Channels     []string          `dynamodbav:"channels,omitempty,stringset"` // members
	Latest       map[string]int64  `dynamodbav:"latest,omitempty"`
	Floor        int64             `dynamodbav:"floor,omitempty"`
	Numbered     map[string]string `dynamodbav:"numbered,omitempty"` // number@time
	Meta         string            `dynamodbav:"meta,omitempty"`
	PingMinutes  int               `dynamodbav:"ping,omitempty"`
	Watched      bool              `dynamodbav:"watched,omitempty"`
	ChannelInfo  bool              `dynamodbav:"chan_info,omitempty"`
	Announced    bool              `dynamodbav:"announced,omitempty"`
	Revision     int               `dynamodbav:"rev,omitempty"`
}

// The attributes of a connection that expressions name.
const (
	attrProject      = "project"
	attrOrigin       = "origin"
	attrSecret       = "secret"
	attrMD5          = "md5"
	attrAnyOrigin    = "any_origin"
	attrTokenExpires = "token_exp"
	attrChannels     = "channels"
	attrConnRevision = "rev"
	attrClosing      = "closing"
	attrClosingUntil = "closing_until"
	// attrDebt is when the debt of a connection is paid, in milliseconds since 1970.
	attrDebt = "debt"
)

// open is the condition that a connection exists, has not expired at now, and is not
// being closed.
func open(now time.Time) expression.ConditionBuilder {
	return live(now).And(expression.AttributeNotExists(expression.Name(attrClosing)))
}

// decodeConnection fails with ErrConnectionNotFound if there is no item, it has expired
// at now, or it is being closed.
func decodeConnection(i item, now time.Time) (hub.Connection, error) {
	if len(i) == 0 || int64(numberOf(i, schema.ExpiryAttribute)) <= now.Unix() || textOf(i, attrClosing) != "" {
		return hub.Connection{}, hub.ErrConnectionNotFound
	}
	return readConnection(i)
}

// readConnection reads a connection's item, whatever its state.
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
		ID: id, Origin: v.Origin, Scope: v.Scope, Expires: time.Unix(v.Expires, 0),
		Project: v.Project, Protocol: hub.Protocol(v.Protocol), Batch: v.Batch,
		Secret: v.Secret, MD5: v.MD5, AnyOrigin: v.AnyOrigin, TokenChannels: v.TokenChans, Proof: v.Proof,
		Order: hub.Order{Latest: v.Latest, Floor: v.Floor}, LoggingIn: v.Login, Watched: v.Watched, ChannelInfo: v.ChannelInfo, Announced: v.Announced, Revision: v.Revision,
		PingMinutes: v.PingMinutes,
	}
	if v.User != "" {
		if _, c.User, err = parseUserKey(v.User); err != nil {
			return hub.Connection{}, err
		}
	}
	if c.Order.Numbered, err = decodeNumbered(v.Numbered); err != nil {
		return hub.Connection{}, err
	}
	if v.Meta != "" {
		c.Meta = json.RawMessage(v.Meta)
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

// encodeState makes the attributes of a connection that ChangeConnection writes.
func encodeState(c hub.Connection) (item, error) {
	permissions, err := encodePermissions(c.Permissions)
	if err != nil {
		return nil, err
	}
	v := stateItem{
		Project: c.Project, Info: string(c.Info), Permissions: permissions, Protocol: string(c.Protocol), Batch: c.Batch,
		Secret: c.Secret, MD5: c.MD5, AnyOrigin: c.AnyOrigin, TokenChans: c.TokenChannels, Proof: c.Proof,
		Latest: c.Order.Latest, Floor: c.Order.Floor, Numbered: encodeNumbered(c.Order.Numbered), Meta: string(c.Meta), PingMinutes: c.PingMinutes, Watched: c.Watched, ChannelInfo: c.ChannelInfo, Announced: c.Announced, Revision: c.Revision,
	}
	if v.Login = c.LoggingIn; c.User != "" {
		v.User = userKey(c.Project, c.User)
	}
	if !c.TokenExpires.IsZero() {
		v.TokenExpires = c.TokenExpires.Unix()
	}
	for ch, shard := range c.Channels {
		v.Channels = append(v.Channels, member(ch, shard))
	}
	slices.Sort(v.Channels) // two states are compared
	return attributevalue.MarshalMap(v)
}

// encodeNumbered writes a command as its number and its time: a map of maps would cost more.
func encodeNumbered(commands map[string]hub.Numbered) map[string]string {
	if len(commands) == 0 {
		return nil
	}
	encoded := make(map[string]string, len(commands))
	for tag, c := range commands {
		encoded[tag] = fmt.Sprintf("%d@%d", c.Number, c.At)
	}
	return encoded
}

func decodeNumbered(encoded map[string]string) (map[string]hub.Numbered, error) {
	if len(encoded) == 0 {
		return nil, nil
	}
	commands := make(map[string]hub.Numbered, len(encoded))
	for tag, e := range encoded {
		var c hub.Numbered
		if _, err := fmt.Sscanf(e, "%d@%d", &c.Number, &c.At); err != nil {
			return nil, fmt.Errorf("numbered command %q: %w", e, err)
		}
		commands[tag] = c
	}
	return commands, nil
}

// OpenConnection is one request.
func (s *Store) OpenConnection(ctx context.Context, c hub.Connection) error {
	i, err := attributevalue.MarshalMap(connectionItem{Expires: c.Expires.Unix(), Origin: c.Origin, Scope: c.Scope})
	if err != nil {
		return fmt.Errorf("open connection %s: %w", c.ID, err)
	}
	maps.Copy(i, key(connectionKey(c.ID), singletonSort))
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: i}); err != nil {
		return fmt.Errorf("open connection %s: %w", c.ID, err)
	}
	return nil
}

func encodePermissions(p hub.Permissions) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	// Each escape for HTML would make six bytes of one.
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return "", err
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

// Spend keeps the time at which the debt is paid: one number, to which a command adds its
// cost. One request for a connection without a debt, two for others.
func (s *Store) Spend(ctx context.Context, id string, cost, limit time.Duration, now time.Time) (hub.Connection, time.Duration, error) {
	fail := func(err error) (hub.Connection, time.Duration, error) {
		return hub.Connection{}, 0, fmt.Errorf("account for a command of connection %s: %w", id, err)
	}
	debt := expression.Name(attrDebt)
	paid := expression.AttributeNotExists(debt).Or(debt.LessThanEqual(expression.Value(now.UnixMilli())))
	i, err := s.update(ctx, key(connectionKey(id), singletonSort), expression.Set(debt, expression.Value(now.Add(cost).UnixMilli())), open(now).And(paid))
	if old, ok := conditionFailed(err); ok {
		if _, err := decodeConnection(old, now); err != nil {
			return fail(err)
		}
		room := debt.LessThanEqual(expression.Value(now.Add(limit - cost).UnixMilli()))
		i, err = s.update(ctx, key(connectionKey(id), singletonSort), expression.Add(debt, expression.Value(cost.Milliseconds())), open(now).And(room))
		if old, ok := conditionFailed(err); ok {
			c, err := decodeConnection(old, now)
			if err != nil {
				return fail(err)
			}
			return c, limit + cost, nil
		}
	}
	if err != nil {
		return fail(err)
	}
	c, err := readConnection(i)
	if err != nil {
		return fail(err)
	}
	return c, max(time.UnixMilli(int64(numberOf(i, attrDebt))).Sub(now), cost), nil
}

// BeginClose is one request.
func (s *Store) BeginClose(ctx context.Context, id string, now time.Time) (hub.Connection, bool, error) {
	closing, until, me := expression.Name(attrClosing), expression.Name(attrClosingUntil), rand.Text()
	i, err := s.update(ctx, key(connectionKey(id), singletonSort),
		expression.Set(closing, expression.Value(me)).Set(until, expression.Value(now.Add(hub.CloseLease).Unix())),
		exists().And(expression.AttributeNotExists(closing).Or(
			until.LessThanEqual(expression.Value(now.Unix())),
			// The SDK repeated the request, because the first response was lost.
			closing.Equal(expression.Value(me)))))
	if old, ok := conditionFailed(err); ok {
		return hub.Connection{}, len(old) > 0, nil
	}
	if err != nil {
		return hub.Connection{}, false, fmt.Errorf("close connection %s: %w", id, err)
	}
	c, err := readConnection(i)
	if err != nil {
		return hub.Connection{}, false, fmt.Errorf("close connection %s: %w", id, err)
	}
	return c, true, nil
}

// HideSubscriptions is one request for every 25 subscriptions.
func (s *Store) HideSubscriptions(ctx context.Context, hidden map[string][]hub.Place) error {
	var requests []types.WriteRequest
	for id, places := range hidden {
		for _, p := range places {
			i := key(subscriptionKey(p.Channel, p.Shard), id)
			i[attrSubscriberHidden] = &types.AttributeValueMemberBOOL{Value: true}
			i[schema.ExpiryAttribute] = number(int(s.now().Add(hub.MaxConnectionAge).Unix()))
			requests = append(requests, put(i))
		}
	}
	if err := s.write(ctx, requests); err != nil {
		return fmt.Errorf("hide subscriptions of %d connections: %w", len(hidden), err)
	}
	return nil
}

// FinishClose is one request for every 25 subscriptions, pings and connections.
func (s *Store) FinishClose(ctx context.Context, connections []hub.Connection) error {
	var requests []types.WriteRequest
	for _, c := range connections {
		for ch, shard := range c.Channels {
			requests = append(requests, remove(subscriptionKey(ch, shard), c.ID))
		}
		if c.PingMinutes > 0 {
			requests = append(requests, removePing(hub.Ping{Connection: c.ID, Minutes: c.PingMinutes}))
		}
		requests = append(requests, remove(connectionKey(c.ID), singletonSort))
	}
	if err := s.write(ctx, requests); err != nil {
		return fmt.Errorf("remove %d connections: %w", len(connections), err)
	}
	return nil
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
		if int64(numberOf(i, schema.ExpiryAttribute)) <= s.now().Unix() {
			continue
		}
		c, err := readConnection(i)
		c.Closing = textOf(i, attrClosing) != ""
		switch {
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
