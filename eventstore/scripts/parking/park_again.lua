-- Set a redriven run aside again, because one of its events failed. Its dead entry is replaced:
-- the time of the first failure stays, the deliveries add up. Only an attempt that was begun can
-- fail: without one the call was sent twice, and somebody asked for the run anew in between.
--
-- KEYS  1 lease (hash)  2 parked (hash)  3 dead (stream)  4 redrive (list)
-- ARGV  1 member  2 epoch  3 run id  4 version  5 entry id  6 type  7 workflow id or ''
--       8 kind of the error  9 message  10 traceback  11 deliveries  12 first failure in ms
--       13 last failure in ms
-- REPLY 1 if the run is set aside; 0 if it was discarded meanwhile; false if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return false end

local run, version = ARGV[3], ARGV[4]
local record = redis.call('HGET', KEYS[2], run)
if not record then return 0 end
local old, _, last, begun = string.match(record, '^(%S+) (%d+) (%d+) redrive (%d+)$')
if not old or begun == '0' then return 1 end

local deliveries, first_ms = ARGV[11], ARGV[12]
local entry = redis.call('XRANGE', KEYS[3], old, old)[1]
if entry then
  local facts = {}
  for i = 1, #entry[2], 2 do facts[entry[2][i]] = entry[2][i + 1] end
  deliveries = string.format('%.0f', tonumber(deliveries) + tonumber(facts['d']))
  first_ms = facts['f']
end
local dead = redis.call('XADD', KEYS[3], '*', 'r', run, 'v', version, 'p', ARGV[5], 't', ARGV[6],
  'w', ARGV[7], 'k', ARGV[8], 'm', ARGV[9], 'b', ARGV[10], 'd', deliveries, 'f', first_ms,
  'l', ARGV[13])
redis.call('XDEL', KEYS[3], old)
redis.call('HSET', KEYS[2], run, table.concat({dead, version, last, 'parked'}, ' '))
redis.call('LREM', KEYS[4], 1, run)
return 1
