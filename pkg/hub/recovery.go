package hub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxRecoveryBytes is how many bytes the recovered publications in one reply may have: API Gateway
// limits a reply to 128 KB, and the rest is for its keys. A subscribe has a reply of its own, and the
// subscriptions of a login share one. A client that has missed more is not recovered.
const MaxRecoveryBytes = MaxMessageBytes - 4<<10

// maxFrameRecoveryBytes is likewise for the replies to one frame: SDKs wait 5 s for them.
const maxFrameRecoveryBytes = 1 << 20

// wireBytes is how many bytes publications have in a reply, at most and about.
func wireBytes(publications []Message) (sum int64) {
	const keys = 150
	for _, m := range publications {
		size := keys + len(m.Data) + textBytes(m.Client.User) + len(m.Client.Connection) + len(m.Client.Info) + len(m.Client.ChannelInfo)
		for name, value := range m.Tags {
			size += textBytes(name) + textBytes(value) + len(`"":"",`)
		}
		sum += int64(size)
	}
	return sum
}

// textBytes is how many bytes a text has in JSON at most.
func textBytes(text string) (sum int) {
	for _, c := range []byte(text) {
		switch {
		case c < ' ':
			sum += len(`\u0000`)
		case c == '"' || c == '\\' || c >= utf8.RuneSelf:
			sum += 2 // two characters of three bytes are escaped
		default:
			sum++
		}
	}
	return sum
}

// fitting are the first publications, at least one, that a reply has room for.
func fitting(publications []Message) []Message {
	const others = 1 << 10
	left := int64(MaxMessageBytes - others)
	for i := range publications {
		if left -= wireBytes(publications[i : i+1]); left < 0 {
			return publications[:max(i, 1)]
		}
	}
	return publications
}

// open decides where in the stream a subscription begins, and what its client has missed.
func (s *Session) open(ctx context.Context, j *joining, result *Subscribed, again bool) {
	result.Recovered, result.Publications = false, nil
	top, err := s.top(ctx, j, result)
	if err == nil && again {
		err = s.settle(ctx, j.stream, top)
	}
	if err == nil && result.WasRecovering && !result.Recovered && j.RejectUnrecovered {
		err = ErrUnrecoverablePosition
	}
	if j.failed = err; err != nil {
		return
	}
	result.Recoverable, result.Positioned = j.flags.Recoverable, j.flags.Positioned
	j.begins, result.Position = top, top
	if result.Recovered && !j.category.RecoveryMode.Cache() {
		result.Position = Position{top.Epoch, top.Offset - uint64(len(result.Publications))}
	}
	if j.pushed && result.Recovered {
		j.begins = result.Position // what it has missed follows as pushes
	}
	if !result.Positioned {
		result.Position = Position{}
	}
}

// top is the top of the stream, and what the client has missed up to there.
func (s *Session) top(ctx context.Context, j *joining, result *Subscribed) (Position, error) {
	result.WasRecovering = j.Recover && j.flags.Recoverable
	recovers := result.WasRecovering || j.category.AutoCacheRecover && j.category.RecoveryMode.Cache() && j.category.HistorySize > 0
	if recovers {
		if top, err := s.recover(ctx, j, result); err != nil || top.Epoch != "" {
			return top, err
		}
	}
	top, err := s.store.OpenStream(ctx, j.stream)
	if err != nil || !recovers {
		return top, err
	}
	// It did not exist, and may have a publication since.
	return s.recover(ctx, j, result)
}

// settleTime is how long a subscribe waits at most for the dispatch of what its stream has.
const settleTime = 2 * time.Second

// settle waits until a stream is dispatched up to a position, and no admission of the connection
// waits: until then the former subscription may still get some of it, and the reply would have it
// again. What is appended afterwards finds the new one. It does not wait for long: the publisher of
// the last message may have died.
func (s *Session) settle(ctx context.Context, st Stream, top Position) error {
	for waited, poll := time.Duration(0), firstLoginPoll; waited < settleTime; waited, poll = waited+poll, min(2*poll, maxLoginPoll) {
		head, err := s.store.StreamHead(ctx, st)
		admits := func(a Admission) bool { return a.Connection == s.c.ID }
		if err != nil || head.Epoch != top.Epoch || head.Done >= top.Offset && !slices.ContainsFunc(head.Joins, admits) {
			return err
		}
		if err := s.wait(ctx, poll); err != nil {
			return err
		}
	}
	return nil
}

// recover reads what a client has missed. It returns the top of the stream at that moment: the zero
// Position, and nothing else, where the stream does not exist and the client does not name an epoch.
func (s *Session) recover(ctx context.Context, j *joining, result *Subscribed) (Position, error) {
	if j.category.RecoveryMode.Cache() {
		newest, top, err := s.store.History(ctx, j.stream, HistoryQuery{Limit: 1, Reverse: true})
		if err != nil || top.Epoch == "" {
			return top, err
		}
		switch has := j.Recover && j.Since == top; {
		case has:
			result.Recovered = true
		case len(newest) == 1 && newest[0].Position.Offset == top.Offset && s.fits(j, newest):
			result.Recovered, result.Publications = true, newest
		}
		return top, nil
	}
	// Where there are more than may be recovered, these do not reach the top.
	missed, top, err := s.store.History(ctx, j.stream, HistoryQuery{Since: &j.Since, Limit: -1, Bytes: MaxRecoveryBytes})
	if errors.Is(err, ErrUnrecoverablePosition) {
		return s.store.OpenStream(ctx, j.stream)
	}
	if err != nil || top.Epoch == "" {
		return top, err
	}
	if publications, recovered := Recover(j.Since, top, missed); recovered && s.fits(j, publications) {
		result.Publications, result.Recovered = publications, true
	}
	return top, nil
}

// recoveryRoom is how many bytes of publications fit into a reply that has so many others.
func recoveryRoom(others int) int64 { return int64(MaxRecoveryBytes - others) }

// loginRoom is recoveryRoom for the reply to a login with this data and these subscriptions.
func loginRoom(data json.RawMessage, requests []SubscribeCommand) int64 {
	const keys = 250
	others := len(data)
	for _, r := range requests {
		others += keys + len(r.Channel.Category) + textBytes(r.Channel.Name) + len(r.options.Data)
	}
	return recoveryRoom(others)
}

// fits reports whether a reply and the frame have room for publications, and accounts for them. A
// stream that is opened again has its former ones no more.
func (s *Session) fits(j *joining, missed []Message) bool {
	bytes, limit := wireBytes(missed), int64(maxFrameRecoveryBytes)
	if j.required {
		limit = s.loginRoom
	}
	s.recovering.Lock()
	defer s.recovering.Unlock()
	s.recovered -= j.recovered
	if j.recovered = bytes; bytes > recoveryRoom(len(j.options.Data)) || s.recovered+bytes > limit {
		j.recovered = 0
	}
	s.recovered += j.recovered
	return j.recovered == bytes
}
