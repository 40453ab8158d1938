-- Acknowledge events for a group, and move its low watermark. Refused for one that lost the
-- lease: its successor handles these events again, and must find them pending.
--
-- KEYS  1 lease (hash)  2 log (stream)
-- ARGV  1 group  2 member  3 epoch  4 done: every event up to this entry is through
--       5… entry ids
-- REPLY 1, or 0 if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'mode', 'done', 'above')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[1], '')  -- see lease_renew.lua
local acknowledged = 0
for from = 5, #ARGV, 1000 do
  local upto = math.min(from + 999, #ARGV)
  acknowledged = acknowledged + redis.call('XACK', KEYS[2], ARGV[1], unpack(ARGV, from, upto))
  if held[3] == 'archive' then
    local counted = {}
    for i = from, upto do counted[#counted + 1] = 't:' .. ARGV[i] end
    redis.call('HDEL', KEYS[1], unpack(counted))
  end
end
-- What is delivered and not above the watermark, not above it and through, must be pending: so
-- lease_acquire.lua finds out if somebody threw pending entries away.
local function count_of(id) return tonumber(string.match(id, '%-(%d+)$')) end
local moved = count_of(ARGV[4]) - count_of(held[4])
local above = held[3] == 'archive' and 0 or tonumber(held[5] or 0) + acknowledged - moved
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'done', ARGV[4], 'above', string.format('%.0f', above),
  'moved', string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
return 1
