-- Note that a member of a group is alive, and say who else is.
--
-- KEYS  1 members (sorted set, score: ms of the last heartbeat, server time)
-- ARGV  1 member  2 silence in ms after which a member counts as dead
--       3 silence in ms after which its name is forgotten
-- REPLY names of the members that are alive; if this member itself was silent for too long, then
--       the server may have been away: those that were alive when it was last heard count too

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end

local before = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - tonumber(ARGV[3])))
-- After a write, even one that found nothing, a server without memory takes this too.
redis.call('ZADD', KEYS[1], text(now), ARGV[1])
local silence = tonumber(ARGV[2])
local since = (now - before > silence and before or now) - silence
return redis.call('ZRANGEBYSCORE', KEYS[1], text(since), '+inf')
