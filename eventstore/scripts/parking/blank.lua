-- Forget what an error told of a run's content. The run stays set aside, and its place among them
-- is a new one.
--
-- KEYS  1 parked (hash)  2 dead (stream)
-- ARGV  1 run id
-- REPLY 1 if there was something to forget, else 0

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
local old, rest = string.match(record, '^(%S+)(.*)$')
local entry = redis.call('XRANGE', KEYS[2], old, old)[1]
if not entry then return 0 end

local fields, told = entry[2], false
for i = 1, #fields, 2 do
  local name = fields[i]
  if name == 'm' or name == 'b' or name == 'w' then
    told = told or fields[i + 1] ~= ''
    fields[i + 1] = ''
  end
end
if not told then return 0 end
local new = redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('XDEL', KEYS[2], old)
redis.call('HSET', KEYS[1], ARGV[1], new .. rest)
return 1
