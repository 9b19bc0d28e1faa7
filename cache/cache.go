// Package cache remembers values up to a bound in bytes, makes each missing one only once however many ask for it, and
// can share them between processes over Redis.
package cache

import (
	"container/list"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Where a value was found.
const (
	Memory = "memory"
	Shared = "shared" // a call under way, of another caller
	Second = "redis"  // the second level, where this process or another put it
)

// overhead is what an entry costs beyond its key and value, in bytes.
const overhead = 160

// Cache is a least-recently-used cache. It is safe for concurrent use.
type Cache struct {
	most int64

	mu      sync.Mutex
	entries map[string]*list.Element // of *entry
	recent  list.List                // most recently used first
	bytes   int64
	flights map[string]*flight

	second *secondLevel
}

type entry struct {
	key   string
	value []byte
}

func (e *entry) size() int64 { return int64(len(e.key) + len(e.value) + overhead) }

// flight is a value in the making. It is cancelled when nobody waits for it any more.
type flight struct {
	done    chan struct{}
	value   []byte
	hit     string // where the value was found, "" if it was made
	err     error
	waiters int
	cancel  context.CancelFunc
}

// New returns a cache that holds at most so many bytes, keys and bookkeeping included.
func New(bytes int64) *Cache {
	return &Cache{most: bytes, entries: map[string]*list.Element{}, flights: map[string]*flight{}}
}

// Share adds a second level in Redis, where values live for ttl. A server that fails or takes longer than 50 ms is as
// good as one that knows nothing. Share must be called before the cache is used.
func (c *Cache) Share(client redis.Cmdable, prefix string, ttl time.Duration) {
	c.second = &secondLevel{client: client, prefix: prefix, ttl: ttl}
}

// Do returns the value of key: what is known, or what a call under way or a call of produce gives. hit says where it was
// found, "" that this call made it. Errors are not remembered. produce's context ends when every caller that waits for
// its value has left. The value must not be modified.
func (c *Cache) Do(ctx context.Context, key string, produce func(context.Context) ([]byte, error)) (value []byte, hit string, err error) {
	c.mu.Lock()
	if value, ok := c.getLocked(key); ok {
		c.mu.Unlock()
		return value, Memory, nil
	}
	f, underWay := c.flights[key]
	if !underWay {
		f = c.launchLocked(ctx, key, produce)
	}
	f.waiters++
	c.mu.Unlock()
	if value, hit, err = c.wait(ctx, key, f); underWay {
		hit = Shared
	}
	return value, hit, err
}

func (c *Cache) wait(ctx context.Context, key string, f *flight) (value []byte, hit string, err error) {
	select {
	case <-f.done:
		return f.value, f.hit, f.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
		if c.flights[key] == f { // who comes now must not join what is cancelled
			delete(c.flights, key)
		}
	}
	return nil, "", ctx.Err()
}

// launchLocked starts making a value, under a context that keeps ctx's values and outlives its end.
func (c *Cache) launchLocked(ctx context.Context, key string, produce func(context.Context) ([]byte, error)) *flight {
	flying, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel}
	c.flights[key] = f
	go func() {
		defer cancel()
		f.value, f.hit, f.err = c.fill(flying, key, produce)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flights[key] == f {
			delete(c.flights, key)
		}
		if f.err == nil {
			c.putLocked(key, f.value)
		}
		close(f.done)
	}()
	return f
}

// fill asks the second level and then produce. A panic of produce becomes an error: it runs on a goroutine of ours,
// where nobody else could catch it.
func (c *Cache) fill(ctx context.Context, key string, produce func(context.Context) ([]byte, error)) (value []byte, hit string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cache: panic: %v\n%s", r, debug.Stack())
		}
	}()
	if value, ok := c.second.get(ctx, key); ok {
		return value, Second, nil
	}
	if value, err = produce(ctx); err == nil {
		c.second.put(ctx, key, value)
	}
	return value, "", err
}

func (c *Cache) getLocked(key string) ([]byte, bool) {
	element, known := c.entries[key]
	if !known {
		return nil, false
	}
	c.recent.MoveToFront(element)
	return element.Value.(*entry).value, true
}

// putLocked adds an entry and drops the oldest until all fit. What would fill an eighth of the cache by itself is left
// out.
func (c *Cache) putLocked(key string, value []byte) {
	added := &entry{key, value}
	if added.size() > c.most/8 {
		return
	}
	if old, known := c.entries[key]; known {
		c.dropLocked(old)
	}
	c.entries[key] = c.recent.PushFront(added)
	c.bytes += added.size()
	for c.bytes > c.most {
		c.dropLocked(c.recent.Back())
	}
}

func (c *Cache) dropLocked(element *list.Element) {
	dropped := c.recent.Remove(element).(*entry)
	delete(c.entries, dropped.key)
	c.bytes -= dropped.size()
}

// Bytes is what the entries hold now, bookkeeping included.
func (c *Cache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
