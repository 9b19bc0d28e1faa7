-- Sliding window of one key: a hash from tick to the requests counted in it.
-- KEYS[1]  the client
-- ARGV     limit, tick length in microseconds, ticks in a period, requests to count (0 looks only, -1 forgets)
-- Returns  requests counted, when the oldest is forgotten (Unix microseconds), 1 if the limit was reached
local limit, tick, ticks, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local current = math.floor(now / tick)
if n < 0 then
  redis.call('DEL', KEYS[1])
  return {0, now, 0}
end

local total, oldest = 0, current
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local at, count = tonumber(entries[i]), tonumber(entries[i + 1])
  if at < current - ticks then
    redis.call('HDEL', KEYS[1], entries[i])
  elseif at > current then -- the clock stepped back: what lies ahead of it was just now
    redis.call('HDEL', KEYS[1], entries[i])
    redis.call('HINCRBY', KEYS[1], string.format('%d', current), count)
    total = total + count
  else
    total = total + count
    oldest = math.min(oldest, at)
  end
end

if total + n > limit then
  return {total, (oldest + ticks + 1) * tick, 1}
end
if n > 0 then
  redis.call('HINCRBY', KEYS[1], string.format('%d', current), n)
  redis.call('PEXPIRE', KEYS[1], math.ceil((ticks + 2) * tick / 1000))
end
if total + n == 0 then
  return {0, now, 0}
end
return {total + n, (oldest + ticks + 1) * tick, 0}
