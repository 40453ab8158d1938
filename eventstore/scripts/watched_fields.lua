-- Read by which fields the watchers of a signal type are found, skipping from one to the next.
--
-- KEYS  1 watch (sorted set; all scores 0)
-- ARGV  1 where to begin, as for ZRANGEBYLEX  2 where to end  3 how many at the most
-- REPLY the fields, in order; '' stands for watchers that are found by none

local lower, fields = ARGV[1], {}
while #fields < tonumber(ARGV[3]) do
  local member = redis.call('ZRANGEBYLEX', KEYS[1], lower, ARGV[2], 'LIMIT', 0, 1)[1]
  if not member then break end
  local begins, field = string.match(member, '^([^%z]*%z([^%z]*))%z')
  if not begins then return redis.error_reply('the index of watches holds what is no watch') end
  fields[#fields + 1] = field
  lower = '[' .. begins .. '\1'
end
return fields
