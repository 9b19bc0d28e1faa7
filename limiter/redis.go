package limiter

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	ulule "github.com/ulule/limiter/v3"
)

//go:embed window.lua
var windowScript string

// Redis is a sliding-window store shared by all replicas that use the same server. Time is the server's, so replicas
// need not agree on theirs. Keys expire by themselves.
type Redis struct {
	client redis.Scripter
	prefix string
	script *redis.Script
}

var _ ulule.Store = (*Redis)(nil)

// NewRedis returns a store whose keys start with prefix.
func NewRedis(client redis.Scripter, prefix string) *Redis {
	return &Redis{client: client, prefix: prefix, script: redis.NewScript(windowScript)}
}

// Get counts one request.
func (r *Redis) Get(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return r.Increment(ctx, key, 1, rate)
}

// Peek returns the state of a key and counts nothing.
func (r *Redis) Peek(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return r.Increment(ctx, key, 0, rate)
}

// Increment counts n requests, all of them or, when they don't fit, none.
func (r *Redis) Increment(ctx context.Context, key string, n int64, rate ulule.Rate) (ulule.Context, error) {
	return r.run(ctx, key, n, rate)
}

// Reset forgets a key.
func (r *Redis) Reset(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return r.run(ctx, key, -1, rate)
}

func (r *Redis) run(ctx context.Context, key string, n int64, rate ulule.Rate) (ulule.Context, error) {
	tick := max(1, rate.Period.Microseconds()/ticks)
	reply, err := r.script.Run(ctx, r.client, []string{r.prefix + key}, rate.Limit, tick, ticks, n).Int64Slice()
	if err != nil {
		return ulule.Context{}, fmt.Errorf("limiter: redis: %w", err)
	}
	if len(reply) != 3 {
		return ulule.Context{}, fmt.Errorf("limiter: redis answered %d figures, not 3", len(reply))
	}
	reset := time.UnixMicro(reply[1]).Add(time.Second - 1).Unix()
	return ulule.Context{Limit: rate.Limit, Remaining: max(0, rate.Limit-reply[0]), Reset: reset, Reached: reply[2] == 1}, nil
}
