-- Take pending entries over, each only if it has been idle for long enough. Entries that are
-- pending but gone from the log are named, and stay pending: from Redis 7.0 on a bare XCLAIM
-- would forget them without a word.
--
-- KEYS  1 log (stream)
-- ARGV  1 group  2 member that takes over  3 idle time in ms  4… entry ids
-- REPLY {{entry, …}, {id of a missing entry, …}}

local taken, missing = {}, {}
for i = 4, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if not entry then
    if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1) > 0 then
      missing[#missing + 1] = ARGV[i]
    end
  elseif #redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[i]) > 0 then
    taken[#taken + 1] = entry
  end
end
return {taken, missing}
