-- Tell how a consumer group stands in one partition, all at one moment. Changes nothing.
--
-- KEYS  1 log (stream)  2 tail (string)  3 lease (hash)  4 parked (hash)  5 redrive (list)
-- ARGV  1 group  2 how many of the first pending entries are asked for how long they wait
-- REPLY {now in ms, tail or '', first entry id of the log or '',
--        last delivered entry id, or '' if the log has no such group,
--        {owner, epoch, until, done, moved, mode}, each '' if not known,
--        how many are pending, the longest ms since the first of them were delivered,
--        {id, id} the first two entries from `done` on, runs set aside, runs to redrive}
--
-- Where `done` is not known (a group that other tools made), it is what lies before the first
-- pending entry, as for a member that takes the lease.

local log = KEYS[1]
local time = redis.call('TIME')
local function text(number) return string.format('%.0f', number) end
local function first_ids(from, count)
  local ids = {}
  for _, entry in ipairs(redis.call('XRANGE', log, from, '+', 'COUNT', count)) do
    ids[#ids + 1] = entry[1]
  end
  return ids
end

local delivered, pending = '', 0
if redis.call('EXISTS', log) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', log)) do
    local facts = {}
    for i = 1, #info, 2 do facts[info[i]] = info[i + 1] end
    if facts['name'] == ARGV[1] then
      delivered, pending = facts['last-delivered-id'], facts['pending']
    end
  end
end

local first_pending, longest = nil, 0
if pending > 0 then
  for _, entry in ipairs(redis.call('XPENDING', log, ARGV[1], '-', '+', ARGV[2])) do
    first_pending = first_pending or entry[1]
    longest = math.max(longest, entry[3])
  end
end

local lease = redis.call('HMGET', KEYS[3], 'owner', 'epoch', 'until', 'done', 'moved', 'mode')
for i = 1, 6 do lease[i] = lease[i] or '' end
if lease[4] == '' and delivered ~= '' then
  lease[4] = delivered
  if first_pending then
    local before = redis.call('XREVRANGE', log, '(' .. first_pending, '-', 'COUNT', 1)[1]
    local ms, n = string.match(first_pending, '^(%d+)%-(%d+)$')
    lease[4] = before and before[1] or n == '1' and '0-0' or ms .. '-' .. text(tonumber(n) - 1)
  end
end

return {text(tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)),
  redis.call('GET', KEYS[2]) or '', first_ids('-', 1)[1] or '', delivered, lease, pending, longest,
  lease[4] == '' and {} or first_ids(lease[4], 2),
  redis.call('HLEN', KEYS[4]), redis.call('LLEN', KEYS[5])}
