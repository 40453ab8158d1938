-- Find a consumer group on a log; create it if it is not there and a place is given.
--
-- KEYS  1 log (stream)  2 lease (hash)
-- ARGV  1 group  2 entry id after which a new group begins, or '' to create none
-- REPLY the group's last delivered entry id, or false if there is no such group

local function last_delivered()
  if redis.call('EXISTS', KEYS[1]) == 0 then return false end
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local facts = {}
    for i = 1, #info, 2 do facts[info[i]] = info[i + 1] end
    if facts['name'] == ARGV[1] then return facts['last-delivered-id'] end
  end
  return false
end

local place = last_delivered()
if place or ARGV[2] == '' then return place end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
-- Epochs begin at the server's time: those of a group of this name that was deleted are lower.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[2], 'owner', '', 'until', '0', 'done', ARGV[2], 'mode', 'live', 'clean', '1',
  'epoch', string.format('%.0f', now))
return ARGV[2]
