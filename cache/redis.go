package cache

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// secondTimeout is how long the second level may take; pause is how long it is left alone after a failure.
const (
	secondTimeout = 50 * time.Millisecond
	pause         = 5 * time.Second
)

// secondLevel keeps values in Redis. A nil one knows nothing. Keys are hashed, so that texts are not readable in the
// server's key space.
type secondLevel struct {
	client  redis.Cmdable
	prefix  string
	ttl     time.Duration
	retryAt atomic.Int64 // Unix nanoseconds
}

func (l *secondLevel) get(ctx context.Context, key string) ([]byte, bool) {
	if !l.usable() {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	value, err := l.client.Get(ctx, l.name(key)).Bytes()
	if err != nil && err != redis.Nil {
		l.rest()
	}
	return value, err == nil
}

func (l *secondLevel) put(ctx context.Context, key string, value []byte) {
	if !l.usable() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	if l.client.Set(ctx, l.name(key), value, l.ttl).Err() != nil {
		l.rest()
	}
}

func (l *secondLevel) usable() bool {
	return l != nil && time.Now().UnixNano() >= l.retryAt.Load()
}

func (l *secondLevel) rest() { l.retryAt.Store(time.Now().Add(pause).UnixNano()) }

func (l *secondLevel) name(key string) string {
	sum := sha256.Sum256([]byte(key))
	return l.prefix + string(sum[:])
}
