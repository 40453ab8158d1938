-- Replace the settings of a consumer group, unless somebody else replaced them since they were
-- read.
--
-- KEYS  1 groups (hash)
-- ARGV  1 group  2 settings as they were read  3 settings as they shall be
-- REPLY 1 if they are so now, else 0

local found = redis.call('HGET', KEYS[1], ARGV[1])
if found == ARGV[3] then return 1 end
if found ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
