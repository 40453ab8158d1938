-- Take leased timers of one partition that no longer stand for anything off their index. Only
-- the holder of a lease may: the score must still be the lease's end.
--
-- KEYS  1 the timers' index (sorted set)  2 stalls (sorted set)  then for each timer: head (hash)
-- ARGV  1 '1' if workers took the runs: they must now show signs of life in time, else '0'
--       then for each timer: member, leased until, as due.lua gave it
-- REPLY how many were taken off: not those that somebody else holds or that are gone

local index, stalls, is_taken = KEYS[1], KEYS[2], ARGV[1] == '1'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function watch(head)
  local facts = redis.call('HMGET', head, 's', 'x')
  local stall_ms, stall = string.match(facts[2] or '', '^(%d+) (.*)$')
  if facts[1] == 'open' and stall and stall_ms ~= '0' then
    local at = string.format('%.0f', now + tonumber(stall_ms))
    redis.call('ZADD', stalls, at, stall)
    redis.call('HSET', head, 't:' .. stall, at)
  end
end

local settled = 0
for i = 2, #ARGV, 2 do
  local member, head = ARGV[i], KEYS[2 + i / 2]
  local score = redis.call('ZSCORE', index, member)
  if score and string.format('%.0f', tonumber(score)) == ARGV[i + 1] then
    redis.call('ZREM', index, member)
    redis.call('HDEL', head, 't:' .. member)
    if is_taken then watch(head) end
    settled = settled + 1
  end
end
return settled
