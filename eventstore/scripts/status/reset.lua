-- Let a consumer group go on from another place in one partition: what was pending is forgotten,
-- and whoever owned the partition is fenced out.
--
-- KEYS  1 log (stream)  2 tail (string)  3 lease (hash)  4 parked (hash)  5 dead (stream)
--       6 redrive (list)
-- ARGV  1 group  2 entry id after which it goes on  3 '1' to forget the runs that are set aside
-- REPLY the new epoch; false if the log ends before that entry: then nothing is changed

local function parts(id)
  local ms, n = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(n)
end
local ms, n = parts(ARGV[2])
local tail_ms, tail_n = parts(redis.call('GET', KEYS[2]) or '0-0')
if ms > tail_ms or (ms == tail_ms and n > tail_n) then return false end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local first_ms, begins = parts(first and first[1] or '0-' .. string.format('%.0f', tail_n + 1))
-- A place that has a time and no n, from before the log begins: nobody here knows what follows.
local is_behind = begins > n + 1 and not (n == 0 and ms > 0 and first and first_ms <= ms)

if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
local epoch = string.format('%.0f', tonumber(redis.call('HGET', KEYS[3], 'epoch') or 0) + 1)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- All else in the lease tells of events as they stood before: deliveries, what was looked ahead.
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'owner', '', 'until', '0', 'epoch', epoch, 'done', ARGV[2],
  'mode', is_behind and 'archive' or 'live', 'clean', '1', 'moved', string.format('%.0f', now))
if ARGV[3] == '1' then redis.call('DEL', KEYS[4], KEYS[5], KEYS[6]) end
return epoch
