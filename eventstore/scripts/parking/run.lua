-- Read what is kept about one run that is set aside.
--
-- KEYS  1 parked (hash)  2 dead (stream)
-- ARGV  1 run id
-- REPLY dead id, record and fields; false if the run is not set aside

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return false end
local dead = string.match(record, '^%S+')
local entry = redis.call('XRANGE', KEYS[2], dead, dead)[1]
return {dead, record, entry and entry[2] or {'r', ARGV[1]}}
