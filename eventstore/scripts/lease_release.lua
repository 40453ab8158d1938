-- Give a lease back in order: none of the events that are still pending is being handled.
--
-- KEYS  1 lease (hash)
-- ARGV  1 member  2 epoch
-- REPLY 1, or 0 if the lease was lost before

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '', 'until', '0', 'clean', '1')
return 1
