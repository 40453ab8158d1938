-- Set later events of a run that is set aside, aside as well. Events from before it are left
-- alone: they are not set aside, whoever has them handles them.
--
-- KEYS  1 lease (hash)  2 log (stream)  3 parked (hash)
-- ARGV  1 group  2 member  3 epoch  4 run id  5… version and entry id of each, in their order
-- REPLY how many of them, counted from the last, are set aside now; -1 if the run is not; false
--       if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'mode')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return false end

local run = ARGV[4]
local record = redis.call('HGET', KEYS[3], run)
if not record then return -1 end
local dead, first, last, state = string.match(record, '^(%S+) (%d+) (%d+) (.+)$')

local from = 5
while ARGV[from] and tonumber(ARGV[from]) < tonumber(first) do from = from + 2 end
if not ARGV[from] then return 0 end

local newest = ARGV[#ARGV - 1]
if tonumber(newest) > tonumber(last) then
  redis.call('HSET', KEYS[3], run, table.concat({dead, first, newest, state}, ' '))
end
for i = from + 1, #ARGV, 2 do
  local count = redis.call('XACK', KEYS[2], ARGV[1], ARGV[i])
  if held[3] == 'archive' then
    redis.call('HDEL', KEYS[1], 't:' .. ARGV[i])
  else
    redis.call('HINCRBY', KEYS[1], 'above', count)  -- see acknowledge.lua
  end
end
return (#ARGV - from + 1) / 2
