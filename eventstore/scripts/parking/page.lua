-- Read runs that are set aside, in the order in which they were, without their tracebacks.
--
-- KEYS  1 dead (stream)  2 parked (hash)
-- ARGV  1 lowest and 2 highest dead id  3 how many at the most  4 '1' for the newest first
-- REPLY dead id, record (false if there is none) and fields of each

local entries
if ARGV[4] == '1' then
  entries = redis.call('XREVRANGE', KEYS[1], ARGV[2], ARGV[1], 'COUNT', ARGV[3])
else
  entries = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
end
local found = {}
for _, entry in ipairs(entries) do
  local fields, run = {}, ''
  for i = 1, #entry[2], 2 do
    local name, value = entry[2][i], entry[2][i + 1]
    if name == 'r' then run = value end
    if name ~= 'b' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  found[#found + 1] = {entry[1], redis.call('HGET', KEYS[2], run), fields}
end
return found
