// Package limiter limits how many requests a client makes, over sliding windows.
//
// Memory and Redis are ulule/limiter Stores whose windows really slide: at no moment did a client make more than the
// limit in the period before it. Both count requests in ticks of 1/256 of the period, so that a request is forgotten
// at most 0.4 % of the period late, and a client's state is bounded whatever its limit. Refused requests do not count.
package limiter

import (
	"context"
	"net/netip"
	"time"

	ulule "github.com/ulule/limiter/v3"
)

// ticks divide a period. More are more exact and cost more memory for busy clients.
const ticks = 256

// Limits are the windows that each client has to stay within. It is safe for concurrent use.
type Limits struct {
	windows []window
}

type window struct {
	name    string
	limiter *ulule.Limiter
}

// New returns limits for a minute and an hour over one store; a limit of 0 leaves that window out.
func New(store ulule.Store, perMinute, perHour int) *Limits {
	var l Limits
	l.add("minute", store, time.Minute, perMinute)
	l.add("hour", store, time.Hour, perHour)
	return &l
}

func (l *Limits) add(name string, store ulule.Store, period time.Duration, limit int) {
	if limit > 0 {
		rate := ulule.Rate{Formatted: name, Period: period, Limit: int64(limit)}
		l.windows = append(l.windows, window{name, ulule.New(store, rate)})
	}
}

// Decision is the outcome for one request, with the figures of the window that is nearest to its limit.
type Decision struct {
	Allowed   bool
	Window    string        // "minute" or "hour"; "" when there are no limits
	Period    time.Duration // of the window
	Limit     int64         // requests in a period
	Remaining int64         // requests left now
	Reset     time.Time     // when more are left than now
}

// Take counts one request of a client and decides on it. It fails only if the store does. What a longer window refuses
// must not count in a shorter one, so that the longer ones are looked at first.
func (l *Limits) Take(ctx context.Context, client string) (Decision, error) {
	for i := len(l.windows) - 1; i > 0; i-- {
		w := l.windows[i]
		state, err := w.limiter.Peek(ctx, w.name+":"+client)
		if err != nil || state.Remaining == 0 {
			return w.decision(state, false), err
		}
	}
	return l.count(ctx, client)
}

// count counts one request in each window, up to the first that refuses it.
func (l *Limits) count(ctx context.Context, client string) (Decision, error) {
	decision := Decision{Allowed: true}
	for _, w := range l.windows {
		state, err := w.limiter.Get(ctx, w.name+":"+client)
		if err != nil {
			return Decision{}, err
		}
		if decision.Window == "" || state.Remaining < decision.Remaining || state.Reached {
			decision = w.decision(state, !state.Reached)
		}
		if state.Reached {
			break
		}
	}
	return decision, nil
}

func (w window) decision(state ulule.Context, allowed bool) Decision {
	return Decision{allowed, w.name, w.limiter.Rate.Period, state.Limit, state.Remaining, time.Unix(state.Reset, 0)}
}

// ClientKey is the name under which an address is limited: IPv4 by itself, IPv6 by its /64, since one subscriber
// usually has a whole /64. IPv4-mapped addresses count as IPv4.
func ClientKey(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr.String()
	}
	prefix, _ := addr.Prefix(64) // 64 is always in range for IPv6
	return prefix.String()
}
