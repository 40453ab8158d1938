-- Remove from the front of a log what is archived and behind everybody who must have passed it.
-- The last entry that all have passed stays: it is the one that they read again to be sure.
--
-- KEYS  1 log (stream)  2 tail (string)  then the lease (hash) of each group
-- ARGV  1 last archived entry id  2 entry id that all readers have passed
--       3 the most entries to remove in this call, or '0' to count only
--       then for each group '1' if it has a live member, else '0'
-- REPLY {entries removed or counted, 1 if there is more to remove else 0,
--        number of the group that holds the rest back, or 0, entry id that it has passed}
--       {-1} the log is not the one that was archived: it lost entries
--
-- A group whose member came back just now owns the partition already: it counts as well, so that
-- nothing that it is about to read in the log is removed.

local log = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function count_of(id) return tonumber(string.match(id, '%-(%d+)$')) end

local archived, limit = ARGV[1], tonumber(ARGV[3])
if count_of(redis.call('GET', KEYS[2]) or '0-0') < count_of(archived) then return {-1} end
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
if not first then return {0, 0, 0, '0-0'} end
local begins = count_of(first[1])
if begins <= count_of(archived) and #redis.call('XRANGE', log, archived, archived) == 0 then
  return {-1}
end

local passed, holder = ARGV[2], 0
for group = 1, #KEYS - 2 do
  local lease = redis.call('HMGET', KEYS[2 + group], 'done', 'owner', 'until')
  local is_owned = (lease[2] or '') ~= '' and tonumber(lease[3] or 0) > now
  local done = lease[1] or '0-0'
  if (ARGV[3 + group] == '1' or is_owned) and count_of(done) < count_of(passed) then
    passed, holder = done, group
  end
end

local behind = count_of(passed) - begins
if behind <= 0 then return {0, 0, holder, passed} end
if limit == 0 then return {behind, 0, holder, passed} end
local removed = 0
if behind > limit then
  removed = redis.call('XTRIM', log, 'MINID', '~', passed, 'LIMIT', limit)
end
if removed == 0 then removed = redis.call('XTRIM', log, 'MINID', '=', passed) end
return {removed, removed < behind and 1 or 0, holder, passed}
