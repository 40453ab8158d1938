-- Hand out due timers of one partition under a lease: each is due again at the lease's end,
-- unless an append cleared it before.
--
-- KEYS  1 due (sorted set)
-- ARGV  1 now in ms since 1970, or '' for the server's clock  2 how many at the most
--       3 lease in ms
-- REPLY {member, was due at, leased until} for each, earliest first

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local until_ms = string.format('%.0f', now + tonumber(ARGV[3]))
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now),
  'WITHSCORES', 'LIMIT', 0, ARGV[2])
local due = {}
for i = 1, #found, 2 do
  redis.call('ZADD', KEYS[1], until_ms, found[i])
  due[#due + 1] = {found[i], found[i + 1], until_ms}
end
return due
