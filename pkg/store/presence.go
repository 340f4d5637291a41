package store

import (
	"context"
	"encoding/json"
	"iter"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// Presence is one request for each megabyte of subscriptions, made while the caller
// iterates.
func (s *Store) Presence(ctx context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Client, error] {
	return subscriptions(ctx, s, ch, shard, func(i item) hub.Client {
		c := hub.Client{Connection: textOf(i, schema.SortKey), User: textOf(i, attrSubscriberUser)}
		if info := textOf(i, attrSubscriberInfo); info != "" {
			c.Info = json.RawMessage(info)
		}
		return c
	}, schema.SortKey, attrSubscriberUser, attrSubscriberInfo)
}
