-- Prolong a lease, unless somebody else has taken it since.
--
-- KEYS  1 lease (hash)
-- ARGV  1 member  2 epoch  3 length of the lease in ms
-- REPLY 1, or 0 if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
-- A server without memory takes no HSET from a script, unless something was written before: a
-- group that could not keep its place would never let the log be trimmed.
redis.call('HDEL', KEYS[1], '')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[3])))
return 1
