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

// passwordAge is how long the password is cached. A session made with an old password
// stays valid for at most as long.
const passwordAge = time.Minute

// maxPasswordBytes is the longest password that is accepted.
const maxPasswordBytes = 256

// passwords caches the password for requests with a session. It is safe for concurrent
// use.
type passwords struct {
	read func(context.Context) (string, error)
	now  func() time.Time

	mu       sync.Mutex
	password string
	until    time.Time
}

// recent returns the password, at most passwordAge old.
func (p *passwords) recent(ctx context.Context) (string, error) {
	p.mu.Lock()
	password, until := p.password, p.until
	p.mu.Unlock()
	if p.now().Before(until) {
		return password, nil
	}
	return p.current(ctx)
}

// current reads the password. It fails where the password is empty, so that nobody can
// sign in without one.
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

// matches compares in constant time for all lengths.
func matches(given, password string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(password))
	return len(given) <= maxPasswordBytes && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
