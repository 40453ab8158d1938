-- Find who watches for signals of a type in one partition: by which fields they are found, one
-- field after another, and for fields whose value is told at once also the entries.
--
-- KEYS  1 watches (sorted set)
-- ARGV  1 signal type  2 '[' and where to begin  3 the most fields  4 the most entries of each
--       5… a field, and how the names of entries begin that ask for the value it has
-- REPLY {field, {entry, …}} of each field, {field} where its value was not told

local signal_type, lower = ARGV[1], ARGV[2]
local begins = {}
for i = 5, #ARGV, 2 do begins[ARGV[i]] = ARGV[i + 1] end
local upper = '(' .. signal_type .. '\1'
local found = {}
while #found < tonumber(ARGV[3]) do
  local first = redis.call('ZRANGEBYLEX', KEYS[1], lower, upper, 'LIMIT', 0, 1)[1]
  if not first then break end
  local start = #signal_type + 2
  local field = string.sub(first, start, string.find(first, '\0', start, true) - 1)
  local prefix = begins[field]
  if prefix then
    local last = '(' .. string.sub(prefix, 1, -2) .. '\1'
    found[#found + 1] = {field,
      redis.call('ZRANGEBYLEX', KEYS[1], '[' .. prefix, last, 'LIMIT', 0, ARGV[4])}
  else
    found[#found + 1] = {field}
  end
  lower = '[' .. signal_type .. '\0' .. field .. '\1'
end
return found
