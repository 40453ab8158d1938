-- Count one more delivery of an event, right before its handler is called, unless the event was
-- just read and is nobody else's: should the handler kill its process, the count is there. It is Redis's own where the entry is pending;
-- for one that is read from the archive the lease keeps it.
--
-- KEYS  1 lease (hash)  2 log (stream)
-- ARGV  1 group  2 member  3 epoch  4 entry id  5 deliveries that the member knows of
-- REPLY deliveries, this one included; 0 if the lease is lost

local held = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] then return 0 end
local id = ARGV[4]
local pending = redis.call('XPENDING', KEYS[2], ARGV[1], id, id, 1)[1]
if pending and redis.call('XRANGE', KEYS[2], id, id)[1] then
  local deliveries = math.max(pending[4], tonumber(ARGV[5])) + 1
  redis.call('XCLAIM', KEYS[2], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', deliveries, 'JUSTID')
  return deliveries
end
local counted = tonumber(redis.call('HGET', KEYS[1], 't:' .. id) or 0)
local deliveries = math.max(counted, tonumber(ARGV[5])) + 1
redis.call('HSET', KEYS[1], 't:' .. id, deliveries)
return deliveries
