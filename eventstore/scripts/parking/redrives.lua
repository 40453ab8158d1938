-- Read which runs are to be redriven, in the order in which that was asked.
--
-- KEYS  1 redrive (list)  2 parked (hash)
-- ARGV  1 how many at the most
-- REPLY run id and record of each

local found = {}
for _, run in ipairs(redis.call('LRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)) do
  found[#found + 1] = {run, redis.call('HGET', KEYS[2], run)}
end
return found
