-- Forget runs that are set aside: the group never handles what was. A run is left as it is when
-- it is no longer as the caller saw it.
--
-- KEYS  1 parked (hash)  2 dead (stream)  3 redrive (list)
-- ARGV  1… run id and dead id of each
-- REPLY how many were forgotten

local forgotten = 0
for i = 1, #ARGV, 2 do
  local record = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  local dead, state = string.match(record, '^(%S+) %d+ %d+ (%a+)')
  if dead == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('XDEL', KEYS[2], dead)
    if state == 'redrive' then redis.call('LREM', KEYS[3], 1, ARGV[i]) end
    forgotten = forgotten + 1
  end
end
return forgotten
