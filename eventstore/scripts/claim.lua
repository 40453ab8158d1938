-- Take over what is pending in a range of the log, in order, whoever it was delivered to. Entries
-- that are pending but gone from the log are named, and stay pending: from Redis 7.0 on a bare
-- XCLAIM would forget them without a word.
--
-- KEYS  1 lease (hash)  2 log (stream)
-- ARGV  1 group  2 member  3 epoch  4 first id, or '-'  5 last id, or '+'  6 how many
-- REPLY false if the lease is lost, else {{{entry, deliveries so far}, …}, {missing id, …}}
--
-- A claim itself is no delivery: what was read ahead and never handled must not be parked.

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return false end
local taken, missing = {}, {}
for _, pending in ipairs(redis.call('XPENDING', KEYS[2], ARGV[1], ARGV[4], ARGV[5], ARGV[6])) do
  local id, deliveries = pending[1], pending[4]
  local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
  if not entry then
    missing[#missing + 1] = id
  else
    redis.call('XCLAIM', KEYS[2], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', deliveries, 'JUSTID')
    taken[#taken + 1] = {entry, deliveries}
  end
end
return {taken, missing}
