-- Forget a consumer group in one partition, with all that it had set aside there.
--
-- KEYS  1 log (stream)  2… what else there is of the group
-- ARGV  1 group
-- REPLY 1 if there was anything, else 0

local removed = 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  removed = redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
end
for i = 2, #KEYS do removed = removed + redis.call('DEL', KEYS[i]) end
return removed > 0 and 1 or 0
