-- Note that a redriven run is handled up to a version. With the last one the run is no longer set
-- aside, and all that was kept about it goes.
--
-- KEYS  1 lease (hash)  2 parked (hash)  3 dead (stream)  4 redrive (list)
-- ARGV  1 member  2 epoch  3 run id  4 version
-- REPLY the last version that is still to be handled; 0 if none is, also when the run was
--       discarded meanwhile; false if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return false end

local run, version = ARGV[3], tonumber(ARGV[4])
local record = redis.call('HGET', KEYS[2], run) or ''
local dead, first, last = string.match(record, '^(%S+) (%d+) (%d+) redrive %d+$')
if not dead then return 0 end
if version >= tonumber(last) then
  redis.call('HDEL', KEYS[2], run)
  redis.call('XDEL', KEYS[3], dead)
  redis.call('LREM', KEYS[4], 1, run)
  return 0
end
if version >= tonumber(first) then
  local next_version = string.format('%.0f', version + 1)
  redis.call('HSET', KEYS[2], run, table.concat({dead, next_version, last, 'redrive', 0}, ' '))
end
return tonumber(last)
