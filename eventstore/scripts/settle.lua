-- Take a leased timer that no longer stands for anything off its index. Only the holder of
-- the lease may: the score must still be the lease's end.
--
-- KEYS  1 the timer's index (sorted set)  2 head (hash)  3 stalls (sorted set)
-- ARGV  1 member  2 leased until, as due.lua gave it
--       3 '1' if a worker took the run: it must now show signs of life in time, else '0'
-- REPLY 1 if it was taken off, 0 if somebody else holds it or it is gone

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or string.format('%.0f', tonumber(score)) ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], 't:' .. ARGV[1])
if ARGV[3] == '1' then
  local head = redis.call('HMGET', KEYS[2], 's', 'x')
  local stall_ms, stall = string.match(head[2] or '', '^(%d+) (.*)$')
  if head[1] == 'open' and stall and stall_ms ~= '0' then
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    local at = string.format('%.0f', now + tonumber(stall_ms))
    redis.call('ZADD', KEYS[3], at, stall)
    redis.call('HSET', KEYS[2], 't:' .. stall, at)
  end
end
return 1
