-- Drop the streams of runs that are wholly archived and will hardly be read. A run that went on
-- since keeps its stream. Heads stay, written anew: a hash that was ever large stays spread out.
-- Of a deleted run's head only the version stays, and that it was deleted.
--
-- KEYS  for each run: run (stream), head (hash)
-- ARGV  1 '1' to count only, else '0'  then for each run its last archived version
-- REPLY for each run 1 dropped, or to be | 0 its head has another version, or is gone

local MOST_FIELDS = 64  -- beyond it a hash is spread out anyway

local function write_anew(head)
  local state = redis.call('HMGET', head, 'v', 's')
  if state[2] == 'deleted' then
    redis.call('DEL', head)
    redis.call('HSET', head, 'v', state[1], 's', state[2])
    return
  end
  local fields = redis.call('HGETALL', head)
  if #fields > 2 * MOST_FIELDS then return end
  redis.call('DEL', head)
  redis.call('HSET', head, unpack(fields))
end

local dropped = {}
for place = 1, #KEYS / 2 do
  local run, head = KEYS[2 * place - 1], KEYS[2 * place]
  local is_whole = redis.call('HGET', head, 'v') == ARGV[1 + place]
  if is_whole and ARGV[1] == '0' then
    redis.call('UNLINK', run)
    write_anew(head)
  end
  dropped[place] = is_whole and 1 or 0
end
return dropped
