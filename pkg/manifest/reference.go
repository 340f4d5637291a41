package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"centrifuge/pkg/hub"
)

// Kind is what values an option has.
type Kind string

// The kinds.
const (
	Bool   Kind = "bool"
	Number Kind = "number" // a whole one
	Text   Kind = "text"
	List   Kind = "list" // of texts
)

// Option describes an option to whoever sets it.
type Option struct {
	// Name is its key, Title what a form calls it.
	Name, Title string
	Kind        Kind
	// Default says what is in force where it is not set.
	Default string
	// Min and Max limit a Number.
	Min, Max int
	// Help is one sentence or two.
	Help string
	// Unsafe marks what weakens the project when set.
	Unsafe bool
}

// ProjectReference describes the options of a project.
var ProjectReference = []Option{
	{Name: "validate_url", Title: "Validation address", Kind: Text, Default: "none",
		Help: "Your application's address that is asked at auth whether a named user may connect. It must be https and public."},
	{Name: "auth_attempts", Title: "Attempts", Kind: Number, Default: "5", Min: 1, Max: 10,
		Help: "How often validate_url is asked before a client is refused."},
	{Name: "back_off_interval", Title: "Back-off unit (ms)", Kind: Number, Default: "100", Min: 1, Max: 1000,
		Help: "The unit, in milliseconds, of the random waits between attempts."},
	{Name: "back_off_max_timeout", Title: "Longest back-off (ms)", Kind: Number, Default: "5000", Min: 1, Max: 10000,
		Help: "The longest wait, in milliseconds, between two attempts."},
	{Name: "allow_md5", Title: "Allow HMAC-MD5", Kind: Bool, Default: "false", Unsafe: true,
		Help: "Accepts tokens and signatures made with HMAC-MD5, for clients of 2013 that cannot be changed."},
	{Name: "origins", Title: "Origins", Kind: List, Default: "any",
		Help: "The Origin headers that browsers may connect from, such as https://example.com."},
	{Name: "webhook_url", Title: "Webhook address", Kind: Text, Default: "none",
		Help: "Your application's address that gets every message of the categories with hooks. It must be https and public."},
}

// CategoryReference describes the options of a category.
var CategoryReference = []Option{
	{Name: "bidirectional", Title: "Bidirectional", Kind: Bool, Default: "false",
		Help: "Clients may broadcast; without it only your application does."},
	{Name: "publish_to_admins", Title: "Publish to admins", Kind: Bool, Default: "false",
		Help: "Messages appear in the live feed of the admin pages, each at the cost of one more read."},
	{Name: "private", Title: "Private", Kind: Bool, Default: "false",
		Help: "Clients need a grant that a JWT or validate_url confirmed."},
	{Name: "presence", Title: "Presence", Kind: Bool, Default: "false",
		Help: "Your application, and clients that may use a channel, can ask who is in it."},
	{Name: "join_leave", Title: "Join and leave", Kind: Bool, Default: "false",
		Help: "Everybody in a channel is told who comes and goes. Each costs a message to every subscriber."},
	{Name: "clean_html", Title: "Clean HTML", Kind: Bool, Default: "false",
		Help: "Takes out of every string in a message what HTML could do harm with."},
	{Name: "allowed_domains", Title: "Allowed domains", Kind: List, Default: "none",
		Help: "With clean_html: where links and images may lead, such as example.com, which includes the hosts below it."},
	{Name: "hooks", Title: "Event hooks", Kind: Bool, Default: "false",
		Help: "Every message goes to the EventBridge bus as well, and so to webhook_url."},
	{Name: "shards", Title: "Shards", Kind: Number, Default: "1", Min: 1, Max: hub.MaxShards,
		Help: "Spreads a channel's subscribers: one for every 1,000 who may subscribe within a second. It can only be raised."},
	{Name: "max_message_bytes", Title: "Largest message (bytes)", Kind: Number, Default: strconv.Itoa(hub.DefaultMessageBytes), Min: 1, Max: hub.MaxMessageBytes,
		Help: "Limits the data of a message. API Gateway bills every 32 KB of a delivery."},
}

// Markdown is a table of options, as the README has it.
func Markdown(heading string, options []Option) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | default | |\n|---|---|---|\n", heading)
	for _, o := range options {
		help := o.Help
		if o.Unsafe {
			help = "**Unsafe.** " + help
		}
		if o.Kind == Number {
			help += fmt.Sprintf(" From %d to %d.", o.Min, o.Max)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.Name, o.Default, help)
	}
	return b.String()
}
