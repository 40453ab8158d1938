-- Let a group that read from the archive go on in the log, once everything up to an entry is
-- through and the log holds the next one.
--
-- KEYS  1 lease (hash)  2 log (stream)  3 tail (string)
-- ARGV  1 group  2 member  3 epoch  4 entry id that the group has reached
-- REPLY 1 done | 2 not yet: the log begins behind it | 0 if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return 0 end
local function count_of(id) return tonumber(string.match(id, '%-(%d+)$')) end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local begins = first and count_of(first[1]) or count_of(redis.call('GET', KEYS[3]) or '0-0') + 1
if begins > count_of(ARGV[4]) + 1 then return 2 end

-- Whatever was read from here on by somebody who lost the lease is delivered once more.
redis.call('XGROUP', 'SETID', KEYS[2], ARGV[1], ARGV[4])
local old = {'ahead', 'above'}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 't:' then old[#old + 1] = field end
end
for from = 1, #old, 1000 do
  redis.call('HDEL', KEYS[1], unpack(old, from, math.min(from + 999, #old)))
end
redis.call('HSET', KEYS[1], 'done', ARGV[4], 'mode', 'live')
return 1
