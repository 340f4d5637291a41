package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"
)

// passwordAge is how long a password is remembered: as long as a session made with
// one that has been changed may live on.
const passwordAge = time.Minute

// maxPasswordBytes is the longest password that is looked at.
const maxPasswordBytes = 256

// passwords remembers the password for requests with a session. It is safe for
// concurrent use.
type passwords struct {
	read func(context.Context) (string, error)
	now  func() time.Time

	mu       sync.Mutex
	password string
	until    time.Time
}

// recent is the password as it was at most passwordAge ago.
func (p *passwords) recent(ctx context.Context) (string, error) {
	p.mu.Lock()
	password, until := p.password, p.until
	p.mu.Unlock()
	if p.now().Before(until) {
		return password, nil
	}
	return p.current(ctx)
}

// current is the password as it is. It fails where there is none: an interface that
// nobody set a password for lets nobody in.
func (p *passwords) current(ctx context.Context) (string, error) {
	password, err := p.read(ctx)
	if err != nil {
		return "", fmt.Errorf("read the admin password: %w", err)
	}
	if password == "" {
		return "", errors.New("read the admin password: it is empty")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.password, p.until = password, p.now().Add(passwordAge)
	return password, nil
}

// matches compares in constant time, whatever the lengths.
func matches(given, password string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(password))
	return len(given) <= maxPasswordBytes && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
