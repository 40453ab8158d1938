-- Note, before an event of a redriven run is handled, which attempt at it this is: an attempt
-- that kills its process counts too. What lies before the event is through.
--
-- KEYS  1 lease (hash)  2 parked (hash)
-- ARGV  1 member  2 epoch  3 run id  4 version  5 attempt
-- REPLY 1; 0 if it is not to be handled: discarded, parked again, or through; false if the lease
--       is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return false end

local run, version = ARGV[3], tonumber(ARGV[4])
local record = redis.call('HGET', KEYS[2], run) or ''
local dead, first, last = string.match(record, '^(%S+) (%d+) (%d+) redrive %d+$')
if not dead or version < tonumber(first) or version > tonumber(last) then return 0 end
redis.call('HSET', KEYS[2], run, table.concat({dead, ARGV[4], last, 'redrive', ARGV[5]}, ' '))
return 1
