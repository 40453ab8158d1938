-- Acknowledge events for a group, and move its low watermark. Refused for one that lost the
-- lease: its successor handles these events again, and must find them pending.
--
-- KEYS  1 lease (hash)  2 log (stream)
-- ARGV  1 group  2 member  3 epoch  4 done: every event up to this entry is through
--       5… entry ids
-- REPLY 1, or 0 if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'mode')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[1], '')  -- see lease_renew.lua
for from = 5, #ARGV, 1000 do
  local upto = math.min(from + 999, #ARGV)
  redis.call('XACK', KEYS[2], ARGV[1], unpack(ARGV, from, upto))
  if held[3] == 'archive' then
    local counted = {}
    for i = from, upto do counted[#counted + 1] = 't:' .. ARGV[i] end
    redis.call('HDEL', KEYS[1], unpack(counted))
  end
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'done', ARGV[4],
  'moved', string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
return 1
