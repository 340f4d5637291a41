package hub

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Option is the reference of one option: a field of ProjectOptions or
// CategoryOptions with the same JSON name. Everything about an option follows from its
// field and its reference: the attribute in the table, the manifest, the form of the
// admin pages, the tables in the documents, the limits.
type Option struct {
	// Name is the JSON name, Title the label in a form.
	Name, Title string
	// Group is the heading under which forms and documents list the option.
	Group string
	Kind  Kind
	// Default is the value in force where the option is not set.
	Default string
	// Min and Max limit a number, and a duration in milliseconds. Max limits the
	// values of a list, and the bytes of a pattern.
	Min, Max int
	// Choices are the values of a ChoiceOption.
	Choices []string
	// Alias is Centrifugo's name of a BoolOption of ours: it is read, and never written.
	// AliasReversed means that it is on where the option is off.
	Alias         string
	AliasReversed bool
	// Requires names another option that must be set where this one is, "" for none.
	Requires string
	// Help explains the option in one or two sentences.
	Help string
	// Unsafe marks an option that weakens the project.
	Unsafe bool
}

// Kind is the kind of an option's value.
type Kind string

// The kinds. The zero value of each means the default.
const (
	BoolOption     Kind = "bool"
	NumberOption   Kind = "number"   // a whole number
	DurationOption Kind = "duration" // a Duration
	URLOption      Kind = "url"      // http or https
	OriginsOption  Kind = "origins"  // a list of origins, and of patterns for them
	DomainsOption  Kind = "domains"  // a list of host names
	TextOption     Kind = "text"     // a text of at most MaxNameBytes
	RSAKeyOption   Kind = "rsa"      // a public key, as ParsePublicKey reads it
	ECDSAKeyOption Kind = "ecdsa"    // a public key, as ParsePublicKey reads it
	ChoiceOption   Kind = "choice"   // one of some texts
	PatternOption  Kind = "pattern"  // a regular expression in RE2 syntax
)

// Key reports whether values of this kind are public keys, which have several lines.
func (k Kind) Key() bool { return k == RSAKeyOption || k == ECDSAKeyOption }

// List reports whether values of this kind are lists of strings.
func (k Kind) List() bool { return k == OriginsOption || k == DomainsOption }

// Duration is the value of an option. JSON has it in whole milliseconds, the table
// in nanoseconds. JSON is also read as a string, such as "60s" or "24h", which is how
// Centrifugo writes durations.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, time.Duration(d).Milliseconds(), 10), nil
}

// UnmarshalJSON implements json.Unmarshaler. It fails with a json.UnmarshalTypeError for what
// is neither a whole number nor a string that time.ParseDuration reads as whole milliseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil && text != "" {
		parsed, err := time.ParseDuration(text)
		if err != nil || parsed%time.Millisecond != 0 {
			return &json.UnmarshalTypeError{Value: "string", Type: reflect.TypeFor[Duration]()}
		}
		*d = Duration(parsed)
		return nil
	}
	n := time.Duration(*d).Milliseconds()
	if json.Unmarshal(b, &n) != nil {
		return &json.UnmarshalTypeError{Value: string(b), Type: reflect.TypeFor[Duration]()}
	}
	// A number beyond every limit stays beyond it, where the product would wrap around.
	const most = int64(1<<63-1) / int64(time.Millisecond)
	*d = Duration(max(min(n, most), -most) * int64(time.Millisecond))
	return nil
}

// ProjectReference describes the options of a project.
var ProjectReference = []Option{
	{Name: "validate_url", Title: "Validation URL", Group: "Access", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It is asked at auth whether a named user may connect. It must be public and use https."},
	{Name: "auth_attempts", Title: "Validation attempts", Group: "Access", Kind: NumberOption, Default: "5", Min: 1, Max: 10,
		Help: "How often the validation URL is asked before a client is refused."},
	{Name: "back_off_interval", Title: "Back-off interval", Group: "Access", Kind: DurationOption, Default: "100", Min: 1, Max: 1000,
		Help: "The unit of the random waits between validation attempts."},
	{Name: "back_off_max_timeout", Title: "Longest back-off", Group: "Access", Kind: DurationOption, Default: "5000", Min: 1, Max: 10_000,
		Help: "The longest wait between two validation attempts."},
	{Name: "origins", Title: "Allowed origins", Group: "Access", Kind: OriginsOption, Default: "any", Max: MaxListed,
		Help: "The origins of web pages that may connect, such as https://example.com or, with all its subdomains, https://*.example.com. A client that sends no Origin header may always connect."},
	{Name: "token_jwks_url", Title: "Key set URL", Group: "Tokens", Kind: URLOption, Default: "none",
		Help: "The URL of a JSON Web Key Set whose RSA, ECDSA and Ed25519 keys make tokens of Centrifugo's protocol. It must be public and use https."},
	{Name: "token_rsa_public_key", Title: "RSA public key", Group: "Tokens", Kind: RSAKeyOption, Default: "none",
		Help: "The public key, in PEM, of tokens of Centrifugo's protocol that are signed with RS256, RS384 or RS512."},
	{Name: "token_ecdsa_public_key", Title: "ECDSA public key", Group: "Tokens", Kind: ECDSAKeyOption, Default: "none",
		Help: "The public key, in PEM, of tokens of Centrifugo's protocol that are signed with ES256, ES384 or ES512."},
	{Name: "token_audience", Title: "Audience", Group: "Tokens", Kind: TextOption, Default: "any",
		Help: "What the claim aud of every JWT must be, or have in its list."},
	{Name: "token_issuer", Title: "Issuer", Group: "Tokens", Kind: TextOption, Default: "any",
		Help: "What the claim iss of every JWT must be."},
	{Name: "allow_anonymous_connect_without_token", Title: "Connect without a token", Group: "Centrifugo", Kind: BoolOption, Default: "false",
		Help: "Clients of Centrifugo's protocol may connect without a token, as anonymous users."},
	{Name: "subscribe_to_user_personal_channel", Title: "Personal channels", Group: "Centrifugo", Kind: BoolOption, Default: "false",
		Help: "Clients of Centrifugo's protocol with a user are subscribed to the channel #user when they connect. It needs the category without a name. Other users need a token or a grant of it."},
	{Name: "ping_interval", Title: "Ping interval", Group: "Centrifugo", Kind: DurationOption, Default: "0", Min: 60_000, Max: maxPingMinutes * 60_000,
		Help: "How often clients of Centrifugo's protocol get a ping, in whole minutes, rounded up. 0 sends none. It needs a deployment with PINGS=true. Every ping is billed as two messages."},
	{Name: "insecure", Title: "Insecure", Group: "Centrifugo", Kind: BoolOption, Default: "false", Unsafe: true,
		Help: "Clients of Centrifugo's protocol may connect without a token and do everything in every channel, and tokens do not expire. It is for tests and for trying."},
	{Name: "proxy_connect_url", Title: "Connect URL", Group: "Proxies", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It is asked who a client of Centrifugo's protocol is that sends no token. It must be public and use https."},
	{Name: "proxy_refresh_url", Title: "Refresh URL", Group: "Proxies", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It is asked whether a connection of Centrifugo's protocol goes on whose end is near. Clients then send no tokens for that. It must be public and use https."},
	{Name: "proxy_subscribe_url", Title: "Subscribe URL", Group: "Proxies", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It is asked whether a client may subscribe, in categories with subscribe_proxy_enabled. It must be public and use https."},
	{Name: "proxy_publish_url", Title: "Publish URL", Group: "Proxies", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It is asked whether a client may publish, and what, in categories with publish_proxy_enabled. It must be public and use https."},
	{Name: "proxy_sub_refresh_url", Title: "Subscription refresh URL", Group: "Proxies", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It is asked whether a subscription goes on, in categories with sub_refresh_proxy_enabled. It must be public and use https."},
	{Name: "proxy_rpc_url", Title: "RPC URL", Group: "Proxies", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It gets the calls (rpc) of clients of Centrifugo's protocol. It must be public and use https."},
	{Name: "webhook_url", Title: "Webhook URL", Group: "Webhook", Kind: URLOption, Default: "none",
		Help: "A URL of your application. It receives every message of the categories with hooks, and other events. It must be public and use https."},
	{Name: "disconnect_events", Title: "Disconnects", Group: "Webhook", Kind: BoolOption, Default: "false",
		Help: "The end of a connection that logged in since is an event: it goes to the event bus, and from there to the webhook URL."},
	{Name: "allow_md5", Title: "Allow HMAC-MD5", Group: "Legacy", Kind: BoolOption, Default: "false", Unsafe: true,
		Help: "Accepts tokens and signatures made with HMAC-MD5. It is for clients of 2013 that cannot be changed."},
}

// CategoryReference describes the options of a category.
var CategoryReference = []Option{
	{Name: "bidirectional", Title: "Bidirectional", Group: "Access", Kind: BoolOption, Default: "false", Alias: "allow_publish_for_client",
		Help: "Clients may broadcast. Without it, only your application may."},
	{Name: "private", Title: "Private", Group: "Access", Kind: BoolOption, Default: "false", Alias: "allow_subscribe_for_client", AliasReversed: true,
		Help: "Clients need a grant that a JWT or the validation URL confirmed, a subscription token, or a channel that names their user."},
	{Name: "allow_subscribe_for_anonymous", Title: "Subscribe: anonymous clients", Group: "Access", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients without a user may subscribe too, where others may."},
	{Name: "allow_publish_for_subscriber", Title: "Publish: subscribers", Group: "Access", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients may publish in the channels that they are subscribed to."},
	{Name: "allow_publish_for_anonymous", Title: "Publish: anonymous clients", Group: "Access", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients without a user may publish too, where others may."},
	{Name: "allow_user_limited_channels", Title: "User-limited channels", Group: "Access", Kind: BoolOption, Default: "false",
		Help: "A channel with a \"#\" is for the users after it: dialog#42,43 for 42 and 43. Others need a confirmed grant or a subscription token."},
	{Name: "channel_regex", Title: "Channel names", Group: "Access", Kind: PatternOption, Default: "any", Max: MaxNameBytes,
		Help: "A regular expression (RE2) that the names of the channels of clients must match. The category and the ':' are not part of the name; write ^ and $ to match all of it."},
	{Name: "subscribe_proxy_enabled", Title: "Ask about subscribes", Group: "Proxies", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: your application decides at the project's proxy_subscribe_url who may subscribe, except with a token and to channels with a '$' or for listed users."},
	{Name: "publish_proxy_enabled", Title: "Ask about publishes", Group: "Proxies", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: your application decides at the project's proxy_publish_url about every message of a client, and may change it."},
	{Name: "sub_refresh_proxy_enabled", Title: "Ask about ends of subscriptions", Group: "Proxies", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: your application decides at the project's proxy_sub_refresh_url whether a subscription goes on. Clients are not told to send another token."},
	{Name: "presence", Title: "Presence", Group: "Presence", Kind: BoolOption, Default: "false",
		Help: "Your application, and clients that may use a channel, can list the connections in it."},
	{Name: "join_leave", Title: "Join and leave", Group: "Presence", Kind: BoolOption, Default: "false",
		Help: "Subscribers of a channel receive every join and leave. Each costs one message per subscriber."},
	{Name: "force_push_join_leave", Title: "Push joins and leaves", Group: "Presence", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: every subscriber receives joins and leaves, also one that does not ask for them. Only with join_leave."},
	{Name: "allow_presence_for_client", Title: "Presence: clients", Group: "Presence", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients may read the presence of every channel."},
	{Name: "allow_presence_for_subscriber", Title: "Presence: subscribers", Group: "Presence", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients may read the presence of the channels that they are subscribed to."},
	{Name: "allow_presence_for_anonymous", Title: "Presence: anonymous clients", Group: "Presence", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients without a user may read presence too, where others may."},
	{Name: "max_message_bytes", Title: "Largest message (bytes)", Group: "Messages", Kind: NumberOption, Default: "32768", Min: 1, Max: MaxMessageBytes,
		Help: "Limits the data of a message. API Gateway bills a delivery for every 32 KB."},
	{Name: "clean_html", Title: "Clean HTML", Group: "Messages", Kind: BoolOption, Default: "false",
		Help: "Removes unsafe HTML from every string in the data of a message, and refuses keys with a \"<\". Names of channels and users, and infos, are not cleaned: show them as text."},
	{Name: "allowed_domains", Title: "Allowed domains", Group: "Messages", Kind: DomainsOption, Default: "none", Max: MaxListed,
		Help: "The hosts that links and images in cleaned HTML may lead to, such as example.com. Each includes its subdomains."},
	{Name: "history_size", Title: "History size", Group: "History", Kind: NumberOption, Default: "0", Min: 1, Max: MaxHistorySize, Requires: "history_ttl",
		Help: "Keeps this many messages of a channel: it becomes a stream, with offsets and order. 0 keeps none. It requires history_ttl."},
	{Name: "history_ttl", Title: "History time", Group: "History", Kind: DurationOption, Default: "0", Min: 1000, Max: 2_592_000_000, Requires: "history_size",
		Help: "How long a message stays in the history. It requires history_size."},
	{Name: "history_meta_ttl", Title: "Stream time", Group: "History", Kind: DurationOption, Default: "2592000000", Min: 21_600_000, Max: 31_536_000_000,
		Help: "How long the offsets of a channel go on after its last message. Later it begins a new stream, and clients cannot recover from the former one."},
	{Name: "allow_history_for_client", Title: "History: clients", Group: "History", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients may read the history of every channel."},
	{Name: "allow_history_for_subscriber", Title: "History: subscribers", Group: "History", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients may read the history of the channels that they are subscribed to."},
	{Name: "allow_history_for_anonymous", Title: "History: anonymous clients", Group: "History", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: clients without a user may read history too, where others may."},
	{Name: "force_recovery", Title: "Recovery for all", Group: "Recovery", Kind: BoolOption, Default: "false", Requires: "history_size",
		Help: "Centrifugo's protocol: every subscriber gets what it has missed when it connects again. It requires history_size."},
	{Name: "force_recovery_mode", Title: "Recovery mode", Group: "Recovery", Kind: ChoiceOption, Default: "stream", Choices: []string{string(StreamRecovery), string(CacheRecovery)},
		Help: "What a client gets that recovers: with stream all that it has missed, or nothing where that is gone; with cache the newest message."},
	{Name: "auto_cache_recover", Title: "Newest message on subscribe", Group: "Recovery", Kind: BoolOption, Default: "false",
		Help: "With the recovery mode cache, a subscriber gets the newest message also when it subscribes for the first time."},
	{Name: "force_positioning", Title: "Position for all", Group: "Recovery", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: every subscriber of a stream gets its position."},
	{Name: "allow_recovery", Title: "Recovery on demand", Group: "Recovery", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: a client may ask for recovery. A client that may read the history may always."},
	{Name: "allow_positioning", Title: "Position on demand", Group: "Recovery", Kind: BoolOption, Default: "false",
		Help: "Centrifugo's protocol: a client may ask for its position. A client that may read the history may always."},
	{Name: "publish_to_admins", Title: "Publish to admins", Group: "Forwarding", Kind: BoolOption, Default: "false",
		Help: "Messages also appear in the live feed of the admin pages. Each costs one more read."},
	{Name: "hooks", Title: "Hooks", Group: "Forwarding", Kind: BoolOption, Default: "false",
		Help: "Messages also go to the event bus, and from there to the webhook URL."},
	{Name: "unsubscribe_events", Title: "Unsubscribes", Group: "Forwarding", Kind: BoolOption, Default: "false",
		Help: "The end of a subscription is an event: it goes to the event bus, and from there to the webhook URL."},
	{Name: "occupancy_events", Title: "Occupied and vacated", Group: "Forwarding", Kind: BoolOption, Default: "false",
		Help: "That a channel has got its first subscriber, or lost its last, is an event: it goes to the event bus, and from there to the webhook URL. Each subscription, and each renewal of one, costs one more write."},
	{Name: "shards", Title: "Shards", Group: "Delivery", Kind: NumberOption, Default: "1", Min: 1, Max: MaxShards,
		Help: "The partitions of a channel's subscribers: one for every 1,000 that may subscribe within a second. It cannot be lowered."},
	{Name: "ordered", Title: "Ordered", Group: "Delivery", Kind: BoolOption, Default: "false",
		Help: "Messages of a channel reach every subscriber in one order, and several may share a frame. A history has order without it."},
	{Name: "linger_ms", Title: "Linger", Group: "Delivery", Kind: DurationOption, Default: "0", Min: 1, Max: 1000,
		Help: "How long a message of a stream waits for others that share its frame. Only with a history or ordered."},
}

// checkOptions refuses a struct of options of which one breaks its limits, or lacks the one
// that it requires.
func checkOptions(options any, reference []Option) error {
	v := reflect.ValueOf(options)
	set := make(map[string]bool)
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		at := slices.IndexFunc(reference, func(o Option) bool { return o.Name == name })
		if at < 0 {
			return fmt.Errorf("option %s has no reference", name)
		}
		if err := reference[at].check(v.Field(i)); err != nil {
			return err
		}
		set[name] = !v.Field(i).IsZero()
	}
	for _, o := range reference {
		if o.Requires != "" && set[o.Name] && !set[o.Requires] {
			return ErrBadRequest.With(o.Name + " requires " + o.Requires)
		}
	}
	return nil
}

// check refuses a value that breaks the limits of the option.
func (o Option) check(v reflect.Value) error {
	switch o.Kind {
	case NumberOption:
		if n := v.Int(); n != 0 && (n < int64(o.Min) || n > int64(o.Max)) {
			return ErrBadRequest.With(fmt.Sprintf("%s is not from %d to %d", o.Name, o.Min, o.Max))
		}
	case DurationOption:
		least, most := time.Duration(o.Min)*time.Millisecond, time.Duration(o.Max)*time.Millisecond
		if d := time.Duration(v.Int()); d != 0 && (d < least || d > most) {
			return ErrBadRequest.With(fmt.Sprintf("%s is not from %d to %d ms", o.Name, o.Min, o.Max))
		}
	case URLOption:
		if s := v.String(); s != "" && !isURL(s) {
			return ErrBadRequest.With(o.Name + " is not an http or https URL")
		}
	case TextOption:
		if s := v.String(); s != "" {
			return checkName(o.Name, s)
		}
	case RSAKeyOption, ECDSAKeyOption:
		return o.checkKey(v.String())
	case OriginsOption:
		return o.checkList(v, func(s string) error {
			_, err := normalizeOrigin(s)
			return err
		})
	case ChoiceOption:
		if s := v.String(); s != "" && !slices.Contains(o.Choices, s) {
			return ErrBadRequest.With(o.Name + " is not " + strings.Join(o.Choices, " or "))
		}
	case PatternOption:
		switch _, err := pattern(v.String()); {
		case v.Len() > o.Max:
			return ErrLimitExceeded.With(fmt.Sprintf("%s is longer than %d bytes", o.Name, o.Max))
		case err != nil:
			return ErrBadRequest.With(o.Name + " is not a regular expression: " + err.Error())
		}
	case DomainsOption:
		return o.checkList(v, func(s string) error {
			if !isDomain(s) {
				return ErrBadRequest.With(o.Name + " must be host names in lower case, such as example.com")
			}
			return nil
		})
	}
	return nil
}

func (o Option) checkKey(text string) error {
	if text == "" {
		return nil
	}
	key, err := ParsePublicKey(text)
	if err != nil {
		return ErrBadRequest.With(o.Name + " " + Public(err).Detail)
	}
	if _, isRSA := key.(*rsa.PublicKey); isRSA != (o.Kind == RSAKeyOption) {
		return ErrBadRequest.With(o.Name + " is a key of another type")
	}
	return nil
}

func (o Option) checkList(v reflect.Value, check func(string) error) error {
	if v.Len() > o.Max {
		return ErrLimitExceeded.With(fmt.Sprintf("%s must have at most %d values", o.Name, o.Max))
	}
	for i := range v.Len() {
		if err := check(v.Index(i).String()); err != nil {
			return err
		}
	}
	return nil
}

// RequiredBy returns the options that must be set where option o of a reference is set.
func (o Option) RequiredBy(reference []Option) []Option {
	var required []Option
	for o.Requires != "" {
		at := slices.IndexFunc(reference, func(other Option) bool { return other.Name == o.Requires })
		if at < 0 || slices.ContainsFunc(required, func(r Option) bool { return r.Name == o.Requires }) {
			break
		}
		o = reference[at]
		required = append(required, o)
	}
	return required
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func isDomain(s string) bool { return len(s) <= MaxNameBytes && domain().MatchString(s) }

// domain is compiled at its first use: most functions never validate options.
var domain = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
})
