-- Give a namespace that took the place of a lost one the id of that one back, and note when: its
-- consumer groups, and how far they had come, did not come back with it.
--
-- KEYS  1 meta (hash)
-- ARGV  1 the id it has  2 the id it gets
-- REPLY the id it has now

if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', KEYS[1], 'id', ARGV[2], 'put_back_ms', string.format('%.0f', now))
end
return redis.call('HGET', KEYS[1], 'id')
