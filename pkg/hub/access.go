package hub

// Access decides what a client of Centrifugo's protocol may do in channels of its project, in
// the order in which Centrifugo decides. Its methods are pure functions.
//
// What the application states comes before the options of a category: a token of a channel,
// and the permissions of the connection, where they are confirmed. Such permissions bind:
// they grant what they name, and a connection that has them may use other channels only
// where it is subscribed by a token. Permissions that nobody confirmed are ignored, so that
// the options decide.
type Access struct {
	Project    *Project
	Connection Connection
	// Insecure is an option of the project: the options of categories refuse nothing.
	Insecure bool
}

// The reasons for ErrPermissionDenied.
var (
	errTokenRequired   = ErrPermissionDenied.WithHelp(`a channel that begins with "$" requires a subscription token, or a connection token that grants it in its permissions`)
	errNoSubscribe     = ErrPermissionDenied.WithHelp("the options of the category do not let this client subscribe: send a subscription token, grant the channel in the permissions of the connection token, or turn private off")
	errNoPublish       = ErrPermissionDenied.WithHelp("the options of the category do not let this client publish: set bidirectional or allow_publish_for_subscriber")
	errNoHistory       = ErrPermissionDenied.WithHelp("the options of the category do not let this client read the history: set allow_history_for_client or allow_history_for_subscriber")
	errNoPresence      = ErrPermissionDenied.WithHelp("the options of the category do not let this client read the presence: set allow_presence_for_client or allow_presence_for_subscriber")
	errNameRefused     = ErrBadRequest.With("the name of the channel does not match channel_regex")
	errUnnamedCategory = ErrPermissionDenied.WithHelp("the project has no category without a name: create it, or write category:name")
)

// Subscribe decides whether the client may subscribe. token means that it sent a valid token of
// this channel. It fails with ErrCategoryNotFound, ErrBadRequest for a name that the category
// does not allow, and ErrPermissionDenied.
func (a Access) Subscribe(ch Channel, token bool) error {
	if token && ch.inFeed() {
		return nil // it is in no category, and only the token of an administrator names it
	}
	c, err := a.category(ch)
	limited := a.Project.limits(ch)
	switch {
	case err != nil:
		return err
	case token, a.stated(ch) == granted:
		return nil
	case ch.private():
		return errTokenRequired
	case a.Insecure:
		return nil
	case a.stated(ch) == withheld:
		return errNoSubscribe
	case limited && a.Project.lists(ch, a.Connection.User):
		return nil
	case !limited && !c.Private && a.named(c.AllowSubscribeForAnonymous):
		return nil
	}
	return errNoSubscribe
}

// Publish decides whether the client may publish. subscribed means that it is subscribed to the
// channel. It fails as Subscribe does.
//
// In a private category allow_publish_for_client, which is bidirectional, is for subscribers
// and for clients that have a confirmed grant: as in the classic protocol, and not as in
// Centrifugo.
func (a Access) Publish(ch Channel, subscribed bool) error {
	c, err := a.category(ch)
	switch {
	case err != nil:
		return err
	case a.stated(ch) == granted && c.Bidirectional:
		return nil
	case a.may(ch, subscribed, c.Bidirectional && !c.Private, c.Bidirectional || c.AllowPublishForSubscriber, c.AllowPublishForAnonymous):
		return nil
	}
	return errNoPublish
}

// History decides whether the client may read the history. It fails as Publish does, and with
// ErrNotAvailable where the category keeps none.
func (a Access) History(ch Channel, subscribed bool) error {
	c, err := a.category(ch)
	switch {
	case err != nil:
		return err
	case c.HistorySize == 0:
		return c.noHistory()
	case !a.readsHistory(c, ch, subscribed):
		return errNoHistory
	}
	return nil
}

// Presence decides whether the client may read the presence, and count it. It fails as Publish
// does, and with ErrNotAvailable where the category has none.
func (a Access) Presence(ch Channel, subscribed bool) error {
	c, err := a.category(ch)
	switch {
	case err != nil:
		return err
	case !c.Presence:
		return c.noPresence()
	case !a.readsPresence(c, ch, subscribed):
		return errNoPresence
	}
	return nil
}

// SubscriptionFlags are what a client may ask of a subscription.
type SubscriptionFlags struct {
	// Positioned means that it gets its position, Recoverable that it recovers from there,
	// which includes Positioned.
	Positioned, Recoverable bool
	// JoinLeave means that it gets joins and leaves.
	JoinLeave bool
}

// Flags are what a subscription has for which its client asks: what it may have, and what the
// options force. c is the category of the channel, with the overrides of a token. Only streams
// have positions, and only those with a history recovery.
func (a Access) Flags(c Category, ch Channel, asked SubscriptionFlags) SubscriptionFlags {
	history := a.readsHistory(c, ch, true)
	recoverable := c.HistorySize > 0 && (c.ForceRecovery || asked.Recoverable && (c.AllowRecovery || history))
	return SubscriptionFlags{
		Positioned:  recoverable || c.Streams() && (c.ForcePositioning || asked.Positioned && (c.AllowPositioning || history)),
		Recoverable: recoverable,
		JoinLeave:   c.JoinLeave && (c.ForcePushJoinLeave || asked.JoinLeave && a.readsPresence(c, ch, true)),
	}
}

func (a Access) readsHistory(c Category, ch Channel, subscribed bool) bool {
	return a.stated(ch) == granted ||
		a.may(ch, subscribed, c.AllowHistoryForClient, c.AllowHistoryForSubscriber, c.AllowHistoryForAnonymous)
}

func (a Access) readsPresence(c Category, ch Channel, subscribed bool) bool {
	return a.stated(ch) == granted ||
		a.may(ch, subscribed, c.AllowPresenceForClient, c.AllowPresenceForSubscriber, c.AllowPresenceForAnonymous)
}

// may decides by the three options that an action has.
func (a Access) may(ch Channel, subscribed, forClient, forSubscriber, forAnonymous bool) bool {
	return a.Insecure || a.named(forAnonymous) && (forClient && a.stated(ch) != withheld || forSubscriber && subscribed)
}

// named reports whether the client has a user, or needs none.
func (a Access) named(forAnonymous bool) bool { return a.Connection.User != "" || forAnonymous }

// category is the category of a channel whose name it allows to clients. Where there is no
// category without a name, its channels are refused like those that no option opens, as they are
// in Centrifugo.
func (a Access) category(ch Channel) (Category, error) {
	c, err := a.Project.CategoryOf(ch)
	switch {
	case err != nil && ch.Category == "":
		return c, errUnnamedCategory
	case err == nil && !c.names(ch):
		return c, errNameRefused
	}
	return c, err
}

// statement is what the application stated about a channel.
type statement int

const (
	unstated statement = iota
	granted
	withheld
)

// stated is what the confirmed permissions of the connection say about a channel.
func (a Access) stated(ch Channel) statement {
	p := a.Connection.Permissions
	if !p.Confirmed {
		return unstated
	}
	if g, _ := p.category(ch.Category); g.Allows(ch.Name) {
		return granted
	}
	return withheld
}
