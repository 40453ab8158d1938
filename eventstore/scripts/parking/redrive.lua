-- Ask for runs that are set aside to be handled after all. A run is left as it is when it was
-- asked for already, or when it is no longer as the caller saw it.
--
-- KEYS  1 parked (hash)  2 redrive (list)
-- ARGV  1… run id and dead id of each
-- REPLY how many were asked for now

local asked = 0
for i = 1, #ARGV, 2 do
  local record = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  local dead, versions = string.match(record, '^(%S+) (%d+ %d+) parked$')
  if dead == ARGV[i + 1] then
    redis.call('RPUSH', KEYS[2], ARGV[i])
    redis.call('HSET', KEYS[1], ARGV[i], table.concat({dead, versions, 'redrive', 0}, ' '))
    asked = asked + 1
  end
end
return asked
