package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The first part of a partition key is the kind of the item. No other file of this
// package makes or parses a key: TestKeysAreMadeInOneFile checks it.
const (
	projectPrefix      = "P"
	categoryPrefix     = "C" // of a sort key
	connectionPrefix   = "N"
	subscriptionPrefix = "S"
	apiKeyPrefix       = "K"
	claimPrefix        = "I"
	countsPrefix       = "U"
	tallyPrefix        = "T"
	breakerPrefix      = "B"
	streamPrefix       = "H"
	deletionPrefix     = "D"
	pingPrefix         = "G"
	occupancyPrefix    = "O"

	// listKey is the partition of the list of projects, whose sort keys are their
	// ids.
	listKey = "L"

	// passwordKey is the partition of the admin password.
	passwordKey = schema.PasswordPartition

	// singletonSort is the sort key of an item that is alone under its partition key.
	singletonSort = "-"

	// headSort is the sort key of the head of a stream. It sorts after all publications, whose
	// sort keys begin with a hexadecimal digit: one backward query reads the head and then the
	// last publication.
	headSort = "~"

	separator = "#"
	// maxPartitionKey is DynamoDB's limit in bytes. An escaped name is at most twice as
	// long: the longest key of valid names, that of a claim, has 1547 bytes.
	maxPartitionKey = 2048
)

// escape makes a part of a key from any string: the result has no separator, is
// valid UTF-8, and differs for different strings. A separator and the escape character
// itself take two bytes each; a byte that is not UTF-8, which no valid name has,
// takes four.
func escape(s string) string {
	if !strings.ContainsAny(s, "#%") && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '#':
			b.WriteString("%h")
		case r == '%':
			b.WriteString("%p")
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "%%x%02x", s[i])
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// unescape is the reverse of escape. It fails on an unknown escape sequence.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '%':
			b.WriteByte(s[i])
		case strings.HasPrefix(s[i:], "%h"):
			b.WriteByte('#')
			i++
		case strings.HasPrefix(s[i:], "%p"):
			b.WriteByte('%')
			i++
		case strings.HasPrefix(s[i:], "%x") && len(s) >= i+4:
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				return "", fmt.Errorf("key part %q: %w", s, err)
			}
			b.WriteByte(byte(n))
			i += 3
		default:
			return "", fmt.Errorf("key part %q: unknown escape", s)
		}
	}
	return b.String(), nil
}

func join(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = escape(p)
	}
	return strings.Join(escaped, separator)
}

// split is the reverse of a join of n parts.
func split(s string, n int) ([]string, error) {
	parts := strings.Split(s, separator)
	if len(parts) != n {
		return nil, fmt.Errorf("key %q: %d parts, want %d", s, len(parts), n)
	}
	for i, p := range parts {
		var err error
		if parts[i], err = unescape(p); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func projectKey(project string) string    { return join(projectPrefix, project) }
func categorySort(category string) string { return join(categoryPrefix, category) }
func connectionKey(id string) string      { return join(connectionPrefix, id) }

// deletionKey is the partition of the record that a category was deleted.
func deletionKey(project, category string) string { return join(deletionPrefix, project, category) }

// connectionKeys is the prefix of the partition keys of all connections, and of no
// others.
const connectionKeys = connectionPrefix + separator

func isConnectionKey(key string) bool { return strings.HasPrefix(key, connectionKeys) }

// apiKeyKey takes the hexadecimal hash of a key: the key itself is never stored.
func apiKeyKey(hash string) string { return join(apiKeyPrefix, hash) }

func countsKey(project string) string { return join(countsPrefix, project) }

// minuteSort is the sort key of the counts of a minute: such keys sort by time.
func minuteSort(minute time.Time) string { return minute.UTC().Format(time.RFC3339) }

func parseMinuteSort(key string) (time.Time, error) { return time.Parse(time.RFC3339, key) }

func tallyKey(name string) string { return join(tallyPrefix, name) }

// breakerKey holds a hash of the address: an address may be as long as a key, and hold a
// secret.
func breakerKey(project, address string) string {
	hash := sha256.Sum256([]byte(address))
	return join(breakerPrefix, project, hex.EncodeToString(hash[:16]))
}

func claimKey(ch hub.Channel, key string) string {
	return join(claimPrefix, ch.Project, categoryPart(ch), ch.Name, key)
}

func subscriptionKey(ch hub.Channel, shard int) string {
	return join(subscriptionPrefix, ch.Project, categoryPart(ch), ch.Name, strconv.Itoa(shard))
}

// occupancyKey is the partition of what is known of a channel as occupied.
func occupancyKey(ch hub.Channel) string {
	return join(occupancyPrefix, ch.Project, categoryPart(ch), ch.Name)
}

// streamKey is the partition of the head and the publications of a channel.
func streamKey(ch hub.Channel) string {
	return join(streamPrefix, ch.Project, categoryPart(ch), ch.Name)
}

// publicationSort makes sort keys that sort by epoch, and then by offset.
func publicationSort(p hub.Position) string {
	return join(p.Epoch, fmt.Sprintf("%0*d", offsetDigits, p.Offset))
}

// offsetDigits is the length of the greatest offset.
const offsetDigits = 20

// parsePublicationSort refuses the sort key of a head.
func parsePublicationSort(s string) (hub.Position, error) {
	parts, err := split(s, 2)
	if err != nil {
		return hub.Position{}, err
	}
	if len(parts[1]) != offsetDigits {
		return hub.Position{}, fmt.Errorf("key %q: the offset has %d digits, want %d", s, len(parts[1]), offsetDigits)
	}
	offset, err := strconv.ParseUint(parts[1], 10, 64)
	return hub.Position{Epoch: parts[0], Offset: offset}, err
}

// incarnationMark separates the name of a category, which may be "", from its incarnation: no
// name has it, except that of the feed, which has no incarnation.
const incarnationMark = ":"

// categoryPart is the category of a channel, with its incarnation where it has one. It is
// one part, so that the keys have as many parts as those of versions before incarnations,
// which can read and remove them.
func categoryPart(ch hub.Channel) string {
	if ch.Incarnation == "" {
		return ch.Category
	}
	return ch.Category + incarnationMark + ch.Incarnation
}

// channelOf is the reverse of categoryPart.
func channelOf(project, category, name string) hub.Channel {
	ch := hub.Channel{Project: project, Category: category, Name: name}
	if at := strings.LastIndex(category, incarnationMark); at >= 0 && category != hub.Feed(project).Category {
		ch.Category, ch.Incarnation = category[:at], category[at+1:]
	}
	return ch
}

// subscriptionKeys is the prefix of the partition keys of all subscriptions of a
// project, and of no others.
func subscriptionKeys(project string) string {
	return join(subscriptionPrefix, project) + separator
}

// pingKey is the partition of the pings of a slot, whose sort keys are the ids of connections.
func pingKey(s hub.PingSlot) string {
	return join(pingPrefix, strconv.Itoa(s.Minutes), strconv.Itoa(s.Number))
}

// userKey is the key in the index of the connections of a named user.
func userKey(project, user string) string { return join(project, user) }

// member is a channel and its shard in a connection's set of channels. The project is
// the connection's.
func member(ch hub.Channel, shard int) string {
	return join(categoryPart(ch), ch.Name, strconv.Itoa(shard))
}

// admissionMember names an admission among those to its channel.
func admissionMember(a hub.Admission) string {
	return join(strconv.FormatUint(a.Position.Offset, 10), strconv.Itoa(a.Shard), a.ID, a.Connection)
}

func parseAdmissionMember(ch hub.Channel, s string) (hub.Admission, error) {
	parts, err := split(s, 4)
	if err != nil {
		return hub.Admission{}, err
	}
	offset, offsetErr := strconv.ParseUint(parts[0], 10, 64)
	shard, shardErr := strconv.Atoi(parts[1])
	return hub.Admission{
		Place: hub.Place{Channel: ch, Shard: shard}, ID: parts[2], Connection: parts[3], Position: hub.Position{Offset: offset},
	}, errors.Join(offsetErr, shardErr)
}

func parseConnectionKey(key string) (id string, err error) {
	parts, err := split(key, 2)
	if err != nil {
		return "", err
	}
	return parts[1], nil
}

func parseCategorySort(key string) (category string, err error) {
	return parseConnectionKey(key) // it has the same form
}

func parseSubscriptionKey(key string) (ch hub.Channel, shard int, err error) {
	parts, err := split(key, 5)
	if err != nil {
		return hub.Channel{}, 0, err
	}
	shard, err = strconv.Atoi(parts[4])
	return channelOf(parts[1], parts[2], parts[3]), shard, err
}

func parseUserKey(key string) (project, user string, err error) {
	parts, err := split(key, 2)
	if err != nil {
		return "", "", err
	}
	return parts[0], parts[1], nil
}

func parseMember(project, s string) (ch hub.Channel, shard int, err error) {
	parts, err := split(s, 3)
	if err != nil {
		return hub.Channel{}, 0, err
	}
	shard, err = strconv.Atoi(parts[2])
	return channelOf(project, parts[0], parts[1]), shard, err
}
