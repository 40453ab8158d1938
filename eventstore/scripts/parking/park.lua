-- Set an event that failed aside for one group, and with it its run. What was handled of the run
-- before it is acknowledged along: nobody then gets that again after what was set aside.
--
-- KEYS  1 lease (hash)  2 log (stream)  3 parked (hash)  4 dead (stream)
-- ARGV  1 group  2 member  3 epoch  4 run id  5 version  6 entry id  7 type
--       8 workflow id or ''  9 kind of the error  10 message  11 traceback  12 deliveries
--       13 first failure in ms  14 last failure in ms  15… entry ids that were handled before
-- REPLY 1, also when the run is set aside already; false if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'mode')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return false end

local run, version = ARGV[4], ARGV[5]
local record = redis.call('HGET', KEYS[3], run)
if record then
  local dead, first, last, state = string.match(record, '^(%S+) (%d+) (%d+) (.+)$')
  if tonumber(version) < tonumber(first) then first = version end
  if tonumber(version) > tonumber(last) then last = version end
  redis.call('HSET', KEYS[3], run, table.concat({dead, first, last, state}, ' '))
else
  local dead = redis.call('XADD', KEYS[4], '*', 'r', run, 'v', version, 'p', ARGV[6],
    't', ARGV[7], 'w', ARGV[8], 'k', ARGV[9], 'm', ARGV[10], 'b', ARGV[11], 'd', ARGV[12],
    'f', ARGV[13], 'l', ARGV[14])
  redis.call('HSET', KEYS[3], run, table.concat({dead, version, version, 'parked'}, ' '))
end

local function acknowledge(entry_id)
  local count = redis.call('XACK', KEYS[2], ARGV[1], entry_id)
  if held[3] == 'archive' then
    redis.call('HDEL', KEYS[1], 't:' .. entry_id)
  else
    redis.call('HINCRBY', KEYS[1], 'above', count)  -- see acknowledge.lua
  end
end
acknowledge(ARGV[6])
for i = 15, #ARGV do acknowledge(ARGV[i]) end
return 1
