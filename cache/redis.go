package cache

import (
	"context"
	"crypto/sha256"
	"errors"
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
	retryAt atomic.Int64 // Unix nanoseconds; 0 while the server works
}

func (l *secondLevel) get(ctx context.Context, key string) ([]byte, bool) {
	if !l.usable() {
		return nil, false
	}
	bounded, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	value, err := l.client.Get(bounded, l.name(key)).Bytes()
	l.settle(ctx, err)
	return value, err == nil
}

func (l *secondLevel) put(ctx context.Context, key string, value []byte) {
	if !l.usable() {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	l.settle(ctx, l.client.Set(bounded, l.name(key), value, l.ttl).Err())
}

// usable says whether a call may ask. When the pause after a failure ends, one may at a time, the one that moves retryAt
// on, so that a server that is still away keeps nobody else waiting.
func (l *secondLevel) usable() bool {
	if l == nil {
		return false
	}
	retryAt, now := l.retryAt.Load(), time.Now()
	probed := now.Add(2 * secondTimeout).UnixNano() // by when the probe has told how it ended
	return retryAt == 0 || now.UnixNano() >= retryAt && l.retryAt.CompareAndSwap(retryAt, probed)
}

// settle notes how a call ended. One whose callers left says nothing of the server.
func (l *secondLevel) settle(ctx context.Context, err error) {
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		l.retryAt.Store(0)
	case ctx.Err() == nil:
		l.retryAt.Store(time.Now().Add(pause).UnixNano())
	}
}

func (l *secondLevel) name(key string) string {
	sum := sha256.Sum256([]byte(key))
	return l.prefix + string(sum[:])
}
