package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The attributes of a publication, in addition to its expiry. Their names are short: who
// reads a stream pays for the whole items.
const (
	attrPublicationID     = "m"
	attrPublicationData   = "d"
	attrPublicationTime   = "t" // in milliseconds since 1970
	attrPublicationClient = "c"
	attrPublicationUser   = "u"
	attrPublicationInfo   = "i"
	attrPublicationOwn    = "o" // the Info of the subscription
	attrPublicationTags   = "g"
)

// between is the condition for the publications of an epoch from one offset to another.
func between(st hub.Stream, epoch string, first, last uint64) expression.KeyConditionBuilder {
	return expression.Key(schema.PartitionKey).Equal(expression.Value(streamKey(st.Channel))).And(expression.Key(schema.SortKey).Between(
		expression.Value(publicationSort(hub.Position{Epoch: epoch, Offset: first})), expression.Value(publicationSort(hub.Position{Epoch: epoch, Offset: last}))))
}

func (s *Store) publicationQuery(k expression.KeyConditionBuilder, limit int, reverse bool) (*dynamodb.QueryInput, error) {
	e, err := expression.NewBuilder().WithKeyCondition(k).Build()
	if err != nil {
		return nil, err
	}
	return &dynamodb.QueryInput{
		TableName: aws.String(s.table), ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!reverse),
		Limit: aws.Int32(int32(limit)), KeyConditionExpression: e.KeyCondition(), //nolint:gosec // a limit fits
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(),
	}, nil
}

// Publications is one Query for each megabyte.
func (s *Store) Publications(ctx context.Context, st hub.Stream, epoch string, after uint64, limit int) ([]hub.Message, error) {
	if limit <= 0 || after == math.MaxUint64 {
		return nil, nil
	}
	found, err := s.publications(ctx, st, epoch, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read publications of %s: %w", st.Channel, err)
	}
	return found, nil
}

func (s *Store) publications(ctx context.Context, st hub.Stream, epoch string, after uint64, limit int) (found []hub.Message, err error) {
	in, err := s.publicationQuery(between(st, epoch, after+1, math.MaxUint64), limit, false)
	if err != nil {
		return nil, err
	}
	for page, err := range s.pages(ctx, in) {
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			m, err := decodePublication(st, i)
			if err != nil {
				return nil, err
			}
			if found = append(found, m); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

// encodePublication makes the item of a message at its position. The JSON values are UTF-8:
// the hub refuses others.
func encodePublication(st hub.Stream, m hub.Message, now time.Time) item {
	i := key(streamKey(st.Channel), publicationSort(m.Position))
	i[schema.ExpiryAttribute] = expiry(st.Retention.PublicationExpires(now))
	i[attrPublicationID], i[attrPublicationTime] = text(m.ID), number(int(m.Time.UnixMilli()))
	for name, value := range map[string]string{
		attrPublicationData: string(m.Data), attrPublicationClient: m.Client.Connection, attrPublicationUser: m.Client.User, attrPublicationInfo: string(m.Client.Info),
		attrPublicationOwn: string(m.Client.ChannelInfo),
	} {
		if value != "" {
			i[name] = text(value)
		}
	}
	if len(m.Tags) > 0 {
		tags := make(item, len(m.Tags))
		for name, value := range m.Tags {
			tags[name] = text(value)
		}
		i[attrPublicationTags] = &types.AttributeValueMemberM{Value: tags}
	}
	return i
}

// decodePublication is the reverse of encodePublication. The names come from the stream.
func decodePublication(st hub.Stream, i item) (hub.Message, error) {
	at, err := parsePublicationSort(textOf(i, schema.SortKey))
	if err != nil {
		return hub.Message{}, err
	}
	m := hub.Message{
		ID: textOf(i, attrPublicationID), Channel: st.Channel, ProjectName: st.ProjectName, CategoryID: st.CategoryID,
		Client:   hub.Client{Connection: textOf(i, attrPublicationClient), User: textOf(i, attrPublicationUser)},
		Position: at, Time: time.UnixMilli(int64(numberOf(i, attrPublicationTime))).UTC(),
	}
	if data := textOf(i, attrPublicationData); data != "" {
		m.Data = json.RawMessage(data)
	}
	if info := textOf(i, attrPublicationInfo); info != "" {
		m.Client.Info = json.RawMessage(info)
	}
	if info := textOf(i, attrPublicationOwn); info != "" {
		m.Client.ChannelInfo = json.RawMessage(info)
	}
	if tags := mapOf(i, attrPublicationTags); len(tags) > 0 {
		m.Tags = make(map[string]string, len(tags))
		for name := range tags {
			m.Tags[name] = textOf(tags, name)
		}
	}
	return m, nil
}
