-- Give a namespace that took the place of a lost one the id of that one back.
--
-- KEYS  1 meta (hash)
-- ARGV  1 the id it has  2 the id it gets
-- REPLY the id it has now

if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'id', ARGV[2])
end
return redis.call('HGET', KEYS[1], 'id')
