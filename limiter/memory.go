package limiter

import (
	"container/list"
	"context"
	"hash/maphash"
	"sync"
	"time"

	ulule "github.com/ulule/limiter/v3"
)

const shards = 16

// Memory is a sliding-window store in this process. It remembers a bounded number of clients and forgets those that
// were seen longest ago.
type Memory struct {
	seed   maphash.Seed
	shards [shards]shard
	now    func() time.Time
}

type shard struct {
	mu      sync.Mutex
	clients map[string]*list.Element // of *client
	recent  list.List                // most recently seen first
	most    int
}

// client is the requests of one key: counts by tick, oldest first.
type client struct {
	key    string
	counts []count
	total  int64
}

type count struct {
	tick int64
	n    int64
}

var _ ulule.Store = (*Memory)(nil)

// NewMemory returns a store for at most clients keys. now is the clock; nil means time.Now.
func NewMemory(clients int, now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	m := &Memory{seed: maphash.MakeSeed(), now: now}
	for i := range m.shards {
		m.shards[i].clients = map[string]*list.Element{}
		m.shards[i].most = max(1, clients/shards)
	}
	return m
}

// Get counts one request.
func (m *Memory) Get(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return m.Increment(ctx, key, 1, rate)
}

// Peek returns the state of a key and counts nothing.
func (m *Memory) Peek(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return m.Increment(ctx, key, 0, rate)
}

// Increment counts n requests, all of them or, when they don't fit, none.
func (m *Memory) Increment(_ context.Context, key string, n int64, rate ulule.Rate) (ulule.Context, error) {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	c := s.clientLocked(key, n > 0)
	tick := tickLength(rate)
	current := now.UnixNano() / tick
	c.follow(current)
	c.expire(current - ticks)
	reached := c.total+n > rate.Limit
	if !reached && n > 0 {
		c.add(current, n)
	}
	return ulule.Context{
		Limit:     rate.Limit,
		Remaining: max(0, rate.Limit-c.total),
		Reset:     c.reset(now, tick),
		Reached:   reached,
	}, nil
}

// Reset forgets a key.
func (m *Memory) Reset(_ context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if element, known := s.clients[key]; known {
		s.recent.Remove(element)
		delete(s.clients, key)
	}
	return ulule.Context{Limit: rate.Limit, Remaining: rate.Limit, Reset: m.now().Unix()}, nil
}

func (m *Memory) shard(key string) *shard {
	return &m.shards[maphash.String(m.seed, key)%shards]
}

// clientLocked finds a key and, if it is to be kept, makes room for it.
func (s *shard) clientLocked(key string, keep bool) *client {
	if element, known := s.clients[key]; known {
		s.recent.MoveToFront(element)
		return element.Value.(*client)
	}
	c := &client{key: key}
	if !keep {
		return c
	}
	if len(s.clients) >= s.most {
		oldest := s.recent.Remove(s.recent.Back()).(*client)
		delete(s.clients, oldest.key)
	}
	s.clients[key] = s.recent.PushFront(c)
	return c
}

// follow takes the last request to the present tick if it lies ahead, and the others with it: the clock stepped back,
// and would find none of them old until it has caught up.
func (c *client) follow(current int64) {
	last := len(c.counts) - 1
	if last < 0 || c.counts[last].tick <= current {
		return
	}
	back := c.counts[last].tick - current
	for i := range c.counts {
		c.counts[i].tick -= back
	}
}

// expire drops the ticks before first.
func (c *client) expire(first int64) {
	drop := 0
	for drop < len(c.counts) && c.counts[drop].tick < first {
		c.total -= c.counts[drop].n
		drop++
	}
	if drop > 0 {
		c.counts = append(c.counts[:0], c.counts[drop:]...)
	}
}

func (c *client) add(tick, n int64) {
	c.total += n
	if last := len(c.counts) - 1; last >= 0 && c.counts[last].tick == tick {
		c.counts[last].n += n
		return
	}
	c.counts = append(c.counts, count{tick, n})
}

// reset is the Unix second, rounded up, in which the oldest request is forgotten.
func (c *client) reset(now time.Time, tick int64) int64 {
	if len(c.counts) == 0 {
		return now.Unix()
	}
	freed := (c.counts[0].tick + ticks + 1) * tick
	return (freed + int64(time.Second) - 1) / int64(time.Second)
}

// tickLength is in nanoseconds.
func tickLength(rate ulule.Rate) int64 { return max(1, int64(rate.Period)/ticks) }
