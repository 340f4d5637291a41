package store

import (
	"context"
	"encoding/json"
	"iter"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// Presence is one request for each megabyte of subscriptions, made while the caller
// iterates.
func (s *Store) Presence(ctx context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Present, error] {
	present := valid(s.now()).And(expression.AttributeNotExists(expression.Name(attrSubscriberHidden)),
		expression.AttributeNotExists(expression.Name(attrMemberLost)), expression.AttributeNotExists(expression.Name(attrMemberUnlisted)))
	return subscriptions(ctx, s, ch, shard, present, func(i item) hub.Present {
		c := hub.Present{
			Client: hub.Client{Connection: textOf(i, schema.SortKey), User: textOf(i, attrSubscriberUser)},
			Basis:  decodeRight(i),
		}
		if info := textOf(i, attrSubscriberInfo); info != "" {
			c.Info = json.RawMessage(info)
		}
		if info := textOf(i, attrMemberInfo); info != "" {
			c.ChannelInfo = json.RawMessage(info)
		}
		return c
	}, schema.SortKey, attrSubscriberUser, attrSubscriberInfo, attrSubscriberBasis, attrMemberInfo, attrMemberGranted)
}
