-- Write a short stream anew. A server keeps the bytes of removed entries in its memory, and in the
-- files that it makes of that, until the whole block that they stand in is empty.
--
-- KEYS  1 stream
-- ARGV  1 the most entries that are written anew
-- REPLY 1 no removed entry is left in it | 0 it is longer, or a group has pending entries

local stream = KEYS[1]
if redis.call('EXISTS', stream) == 0 then return 1 end
if redis.call('XLEN', stream) > tonumber(ARGV[1]) then return 0 end

local groups = {}
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local facts = {}
  for i = 1, #info, 2 do facts[info[i]] = info[i + 1] end
  if facts['pending'] > 0 then return 0 end
  groups[#groups + 1] = facts
end
local entries = redis.call('XRANGE', stream, '-', '+')
if #entries == 0 and #groups > 0 then
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] == '0-0' and 1 or 0 end
  end
end

redis.call('DEL', stream)
for _, entry in ipairs(entries) do redis.call('XADD', stream, entry[1], unpack(entry[2])) end
for _, group in ipairs(groups) do
  redis.call('XGROUP', 'CREATE', stream, group['name'], group['last-delivered-id'])
end
return 1
