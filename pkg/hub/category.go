package hub

import (
	"strings"
	"time"
)

// Category is a named set of channels with the options of those channels. (Centrifugo
// calls it a namespace.)
type Category struct {
	// ID is 24 hexadecimal digits. A category that is deleted and created again has
	// another one.
	ID string
	// Name is "" for the category without a name, whose channels are written without ":".
	Name string
	// Incarnation is drawn by the store when the category is created, and never changes:
	// the keys of subscriptions carry it. It is "" for a category of an earlier version.
	Incarnation string
	// FormerShards is the number of shards before it was raised at ShardsRaised, 0 where it
	// never was. The store sets both.
	FormerShards int
	ShardsRaised time.Time
	// Revision counts the writes of the category. It is 0 for a new one.
	Revision int
	CategoryOptions
}

// CategoryOptions are the options of a category; CategoryReference describes them.
// The zero value is the default.
type CategoryOptions struct {
	Bidirectional   bool `json:"bidirectional,omitempty"`
	PublishToAdmins bool `json:"publish_to_admins,omitempty"`
	Private         bool `json:"private,omitempty"`
	Presence        bool `json:"presence,omitempty"`
	JoinLeave       bool `json:"join_leave,omitempty"`

	AllowSubscribeForAnonymous bool   `json:"allow_subscribe_for_anonymous,omitempty"`
	AllowPublishForSubscriber  bool   `json:"allow_publish_for_subscriber,omitempty"`
	AllowPublishForAnonymous   bool   `json:"allow_publish_for_anonymous,omitempty"`
	AllowHistoryForClient      bool   `json:"allow_history_for_client,omitempty"`
	AllowHistoryForSubscriber  bool   `json:"allow_history_for_subscriber,omitempty"`
	AllowHistoryForAnonymous   bool   `json:"allow_history_for_anonymous,omitempty"`
	AllowPresenceForClient     bool   `json:"allow_presence_for_client,omitempty"`
	AllowPresenceForSubscriber bool   `json:"allow_presence_for_subscriber,omitempty"`
	AllowPresenceForAnonymous  bool   `json:"allow_presence_for_anonymous,omitempty"`
	AllowUserLimitedChannels   bool   `json:"allow_user_limited_channels,omitempty"`
	ChannelRegex               string `json:"channel_regex,omitempty"`

	ForcePushJoinLeave bool         `json:"force_push_join_leave,omitempty"`
	ForceRecovery      bool         `json:"force_recovery,omitempty"`
	RecoveryMode       RecoveryMode `json:"force_recovery_mode,omitempty"`
	AutoCacheRecover   bool         `json:"auto_cache_recover,omitempty"`
	ForcePositioning   bool         `json:"force_positioning,omitempty"`
	AllowRecovery      bool         `json:"allow_recovery,omitempty"`
	AllowPositioning   bool         `json:"allow_positioning,omitempty"`

	SubscribeProxyEnabled  bool `json:"subscribe_proxy_enabled,omitempty"`
	PublishProxyEnabled    bool `json:"publish_proxy_enabled,omitempty"`
	SubRefreshProxyEnabled bool `json:"sub_refresh_proxy_enabled,omitempty"`

	CleanHTML         bool     `json:"clean_html,omitempty"`
	AllowedDomains    []string `json:"allowed_domains,omitempty"`
	Hooks             bool     `json:"hooks,omitempty"`
	UnsubscribeEvents bool     `json:"unsubscribe_events,omitempty"`
	OccupancyEvents   bool     `json:"occupancy_events,omitempty"`
	Shards            int      `json:"shards,omitempty"`
	MaxMessageBytes   int      `json:"max_message_bytes,omitempty"`
	HistorySize       int      `json:"history_size,omitempty"`
	HistoryTTL        Duration `json:"history_ttl,omitempty"`
	HistoryMetaTTL    Duration `json:"history_meta_ttl,omitempty"`
	Ordered           bool     `json:"ordered,omitempty"`
	Linger            Duration `json:"linger_ms,omitempty"`
}

// RecoveryMode is what a client gets that recovers. "" is StreamRecovery.
type RecoveryMode string

// The modes of recovery, as in Centrifugo.
const (
	// StreamRecovery is all that was missed, or nothing.
	StreamRecovery RecoveryMode = "stream"
	// CacheRecovery is the newest publication.
	CacheRecovery RecoveryMode = "cache"
)

// Cache reports whether a client that recovers gets the newest publication only.
func (m RecoveryMode) Cache() bool { return m == CacheRecovery }

// DefaultHistoryMetaTTL is how long a stream is remembered after its last message where the
// category sets nothing. It is Centrifugo's default.
const DefaultHistoryMetaTTL = 720 * time.Hour

// Streams reports whether the channels of the category are streams, whose messages are
// appended and then dispatched in order. Otherwise messages are sent direct. This is the one
// place that chooses.
//
// A publish with skip_history is sent direct where the category has history: without an
// offset, and without order towards other messages. A message with an offset that history
// does not return would be a gap, and no client could recover past it. Where the category is
// only ordered nothing is kept, so that skip_history changes nothing.
func (o CategoryOptions) Streams() bool { return o.HistorySize > 0 || o.Ordered }

// Retention is what history returns of the streams of the category, and how long they are
// remembered.
func (o CategoryOptions) Retention() Retention {
	r := Retention{Size: o.HistorySize, TTL: time.Duration(o.HistoryTTL), MetaTTL: time.Duration(o.HistoryMetaTTL)}
	if r.MetaTTL == 0 {
		r.MetaTTL = DefaultHistoryMetaTTL
	}
	return r
}

// ShardCount is the number of shards in force.
func (o CategoryOptions) ShardCount() int { return max(o.Shards, 1) }

// shardsDelay is how long after a raise new subscribers use the former shards: until then a
// publisher may still read a project that it cached before, and the clocks of functions may
// differ by some seconds.
const shardsDelay = 15 * time.Second

// names reports whether clients may use the name of a channel: it matches channel_regex. As in
// Centrifugo the "$" is not part of the name, except in the category without a name.
func (c Category) names(ch Channel) bool {
	if c.ChannelRegex == "" {
		return true
	}
	name := ch.Name
	if ch.Category != "" {
		name = strings.TrimPrefix(name, privateMark)
	}
	compiled, err := pattern(c.ChannelRegex)
	return err == nil && compiled.MatchString(name)
}

// SubscribeShards is the number of shards over which new subscribers are spread. It lags
// behind ShardCount, which publishers read: so every publisher reads the shard of every
// subscriber.
func (c Category) SubscribeShards(now time.Time) int {
	if c.FormerShards > 0 && now.Before(c.ShardsRaised.Add(shardsDelay)) {
		return c.FormerShards
	}
	return c.ShardCount()
}

// MessageBytes is the limit on a message's data in force.
func (o CategoryOptions) MessageBytes() int {
	if o.MaxMessageBytes == 0 {
		return DefaultMessageBytes
	}
	return o.MaxMessageBytes
}

// Title names the category in a sentence.
func (c Category) Title() string {
	if c.Name == "" {
		return "the category without a name"
	}
	return "category " + c.Name
}

// Validate refuses options that break their limits, with ErrBadRequest or
// ErrLimitExceeded.
func (o CategoryOptions) Validate() error { return checkOptions(o, CategoryReference) }

// Validate refuses a new category whose name or options break their limits, with
// ErrBadRequest or ErrLimitExceeded. Of one that exists only the options are validated.
func (c Category) Validate() error {
	if c.Name != "" {
		if err := checkPathName("category name", c.Name); err != nil {
			return err
		}
	}
	switch {
	case strings.Contains(c.Name, categoryMark):
		return ErrBadRequest.With(`a category name must not contain ":"`)
	case strings.HasPrefix(c.Name, privateMark):
		return ErrBadRequest.With(`a category name must not begin with "$"`)
	}
	return c.CategoryOptions.Validate()
}
