-- Note how far a follower of the log that is no group has come, so that retention waits for it.
--
-- KEYS  1 readers (hash)
-- ARGV  1 name  2 the entry ids it has reached, by partition, as a JSON object
-- REPLY the time of the report in ms since 1970

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', KEYS[1], ARGV[1], '{"at_ms":' .. now .. ',"positions":' .. ARGV[2] .. '}')
return now
