-- Create a namespace, or read what it was created with.
--
-- KEYS  1 meta (hash)
-- ARGV  1 partitions  2 layout version  3 a new id for the store
-- REPLY {partitions, layout version, store id, created in ms since 1970}

if redis.call('EXISTS', KEYS[1]) == 0 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', KEYS[1], 'partitions', ARGV[1], 'layout', ARGV[2], 'id', ARGV[3],
    'created_ms', string.format('%.0f', now))
end
return redis.call('HMGET', KEYS[1], 'partitions', 'layout', 'id', 'created_ms')
