-- Take the lease of one partition for a group: when nobody has it, when it ended, or when it is
-- held under the member's own name, from an earlier life. Says from where to go on.
--
-- KEYS  1 lease (hash)  2 log (stream)  3 tail (string)
-- ARGV  1 group  2 member  3 length of the lease in ms
-- REPLY {'held', owner, ms until it ends} | {'unknown'} no such group on this log
--       | {'ok', epoch, done, last delivered, mode, '1' if the last owner left in order else '0',
--          ahead, tail, doubted}
--
-- mode is 'archive' when events behind `done` have left the log: the group then reads the merged
-- history until it stands within the log again.
-- doubted is an entry id: of events up to it, an owner that died may have read ahead what it never
-- began, so the first of their deliveries proves nothing.

local lease, log = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
local function count_of(id) return tonumber(string.match(id, '%-(%d+)$')) end

local last_delivered = false
if redis.call('EXISTS', log) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', log)) do
    local facts = {}
    for i = 1, #info, 2 do facts[info[i]] = info[i + 1] end
    if facts['name'] == ARGV[1] then last_delivered = facts['last-delivered-id'] end
  end
end
if not last_delivered then return {'unknown'} end

local held = redis.call('HMGET', lease, 'owner', 'until', 'done', 'mode', 'clean', 'ahead', 'above',
  'doubted')
local owner, ends, done, mode = held[1] or '', tonumber(held[2] or 0), held[3], held[4] or 'live'
if owner ~= '' and owner ~= ARGV[2] and ends > now then
  return {'held', owner, text(ends - now)}
end

if not done then
  -- A group that other tools made: it is through with what lies before its first pending entry.
  local pending = redis.call('XPENDING', log, ARGV[1])
  done = last_delivered
  if pending[1] > 0 then
    local before = redis.call('XREVRANGE', log, '(' .. pending[2], '-', 'COUNT', 1)[1]
    done = before and before[1] or '0-0'
  end
end
local tail = redis.call('GET', KEYS[3]) or '0-0'
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local begins = first and count_of(first[1]) or count_of(tail) + 1
if begins > count_of(done) + 1 then mode = 'archive' end

redis.call('HDEL', lease, '')  -- see lease_renew.lua
if mode == 'live' then
  local pending = redis.call('XPENDING', log, ARGV[1])[1]
  local known = pending + tonumber(held[7] or 0)
  if known < count_of(last_delivered) - count_of(done) then
    -- Entries that were delivered are neither pending nor through: their consumer was deleted
    -- (XGROUP DELCONSUMER). They are delivered once more, with what was handled beside them.
    redis.call('XGROUP', 'SETID', log, ARGV[1], done)
    redis.call('HDEL', lease, 'above')
    last_delivered = done
  end
end
local ahead, doubted = held[6] or done, held[8] or '0-0'
if held[5] ~= '1' then
  for _, read in ipairs({last_delivered, ahead}) do
    if count_of(read) > count_of(doubted) then doubted = read end
  end
end
local epoch = redis.call('HINCRBY', lease, 'epoch', 1)
redis.call('HSET', lease, 'owner', ARGV[2], 'until', text(now + tonumber(ARGV[3])),
  'done', done, 'mode', mode, 'clean', '', 'moved', text(now),
  'doubted', doubted)
return {'ok', epoch, done, last_delivered, mode, held[5] == '1' and '1' or '0',
  ahead, tail, doubted}
