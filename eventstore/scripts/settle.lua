-- Take a leased timer that no longer stands for anything off the due index. Only the holder of
-- the lease may: the score must still be the lease's end.
--
-- KEYS  1 due (sorted set)  2 head (hash)
-- ARGV  1 member  2 leased until, as due.lua gave it
-- REPLY 1 if it was taken off, 0 if somebody else holds it or it is gone

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or string.format('%.0f', tonumber(score)) ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], 't:' .. ARGV[1])
return 1
