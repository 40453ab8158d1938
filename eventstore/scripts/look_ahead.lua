-- Note how far a group that reads from the archive has looked ahead, and tell which of these
-- events were delivered before: there are no pending entries to tell it.
--
-- KEYS  1 lease (hash)
-- ARGV  1 member  2 epoch  3 entry id up to which events are about to be handled
-- REPLY false if the lease is lost, else {entry id, deliveries, …}

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return false end
redis.call('HSET', KEYS[1], 'ahead', ARGV[3])
local counts, fields = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 't:' then
    counts[#counts + 1] = string.sub(fields[i], 3)
    counts[#counts + 1] = fields[i + 1]
  end
end
return counts
