-- Move a run's stall deadline, as each of its events does, without an event. Only where it has
-- one: a run that is paused, or waits for a worker, has none.
--
-- KEYS  1 stalls (sorted set)  2 head (hash)
-- ARGV  1 a version that the worker knows, or ''
-- REPLY {'none'} no such run | {'closed', version} | {'quiet'} no deadline
--       {'version', version} the run was taken from the worker since, or was never at that version
--       {'moved', the new deadline in ms since 1970}

local head = redis.call('HMGET', KEYS[2], 'v', 's', 'x', 'r')
if not head[1] then return {'none'} end
if head[2] ~= 'open' then return {'closed', head[1]} end
local known = tonumber(ARGV[1])
if known and (known > tonumber(head[1]) or known < tonumber(head[4] or 0)) then
  return {'version', head[1]}
end
local stall_ms, stall = string.match(head[3] or '', '^(%d+) (.*)$')
if not stall or stall_ms == '0' or not redis.call('ZSCORE', KEYS[1], stall) then
  return {'quiet'}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at = string.format('%.0f', now + tonumber(stall_ms))
redis.call('ZADD', KEYS[1], at, stall)
redis.call('HSET', KEYS[2], 't:' .. stall, at)
return {'moved', at}
