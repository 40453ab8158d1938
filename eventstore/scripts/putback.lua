-- Put archived entries back where the server lost them: at the end of a partition's log, at their
-- own positions and versions. All of them or none; every check comes before the first write.
--
-- KEYS  1 log (stream)  2 tail (string)  3 due (sorted set)
--       then for each entry: run (stream), head (hash)
-- ARGV  1 the entry before the first one, <ms>-<n>, or 0-0; the log must end exactly there
--       2 number of entries, then for each, in log order:
--         <ms>-<n>
--         run id
--         version; the run's head must be at the one before
--         JSON bytes
--         checksum
--         append id
--         '1' if the entry carries the run's workflow id, else '0'
--         workflow id of the event, or ''
--         what the event does to the run: '' nothing, 'closed' ends it, 'deleted' deletes it
--         number of timer changes, then for each: 'at' | 'clear', member, ms
-- REPLY {'ok'}
--       {'tail', where the log ends}
--       {'version', run id, the version of its head}
--       {'ahead', run id, the last version in its run stream}
--       {'error', message}

local log, tail_key, due = KEYS[1], KEYS[2], KEYS[3]

local function split(id)
  local left, right = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(left), tonumber(right)
end

local tail = redis.call('GET', tail_key) or '0-0'
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if newest then
  local tail_ms, tail_n = split(tail)
  local newest_ms, newest_n = split(newest[1])
  if newest_ms > tail_ms or newest_n > tail_n then tail = newest[1] end
end
if tail ~= ARGV[1] then return {'tail', tail} end
redis.call('ZCARD', due)  -- fails here, before anything is written, if it is no sorted set

local place = 2
local function take()
  place = place + 1
  return ARGV[place]
end

local entries, versions = {}, {}
for i = 1, tonumber(ARGV[2]) do
  local entry = {run = KEYS[2 + 2 * i], head = KEYS[3 + 2 * i], timers = {}}
  entry.id, entry.run_id, entry.version = take(), take(), tonumber(take())
  entry.json, entry.checksum, entry.append_id = take(), take(), take()
  entry.inherits, entry.workflow, entry.ends = take() == '1', take(), take()
  for change = 1, tonumber(take()) do entry.timers[change] = {take(), take(), take()} end

  local version = versions[entry.head]
  if not version then
    version = redis.call('HGET', entry.head, 'v') or '0'
    local last = redis.call('XREVRANGE', entry.run, '+', '-', 'COUNT', 1)[1]
    local last_version = last and split(last[1]) or 0
    if last_version > tonumber(version) then return {'ahead', entry.run_id, last[1]} end
  end
  if tonumber(version) + 1 ~= entry.version then
    return {'version', entry.run_id, tostring(version)}
  end
  versions[entry.head] = entry.version
  entries[i] = entry
end

-- The first write may be refused (memory, disk), and then nothing is written yet.
local function write_run(entry)
  local id = string.format('%.0f-0', entry.version)
  if entry.inherits then
    return redis.pcall('XADD', entry.run, id, 'e', entry.json, 'c', entry.checksum,
      'p', entry.id, 'a', entry.append_id, 'w', entry.workflow)
  end
  return redis.pcall('XADD', entry.run, id, 'e', entry.json, 'c', entry.checksum,
    'p', entry.id, 'a', entry.append_id)
end

local function write_log(entry)
  local version = string.format('%.0f', entry.version)
  if entry.inherits then
    redis.call('XADD', log, entry.id, 'r', entry.run_id, 'v', version, 'e', entry.json,
      'c', entry.checksum, 'a', entry.append_id, 'w', entry.workflow)
  else
    redis.call('XADD', log, entry.id, 'r', entry.run_id, 'v', version, 'e', entry.json,
      'c', entry.checksum, 'a', entry.append_id)
  end
end

local function change_timers(entry)
  for _, change in ipairs(entry.timers) do
    local member = change[2]
    if change[1] == 'at' then
      redis.call('ZADD', due, change[3], member)
      redis.call('HSET', entry.head, 't:' .. member, change[3])
    else
      redis.call('ZREM', due, member)
      redis.call('HDEL', entry.head, 't:' .. member)
    end
  end
  if entry.ends == '' then return end
  for _, field in ipairs(redis.call('HKEYS', entry.head)) do
    if string.sub(field, 1, 2) == 't:' then
      redis.call('ZREM', due, string.sub(field, 3))
      redis.call('HDEL', entry.head, field)
    end
  end
end

for _, entry in ipairs(entries) do
  local written = write_run(entry)
  if type(written) == 'table' and written.err then return {'error', written.err} end
  write_log(entry)
  redis.call('HSET', entry.head, 'v', string.format('%.0f', entry.version),
    's', entry.ends ~= '' and entry.ends or 'open')
  if entry.workflow ~= '' then redis.call('HSETNX', entry.head, 'w', entry.workflow) end
  change_timers(entry)
end
redis.call('SET', tail_key, entries[#entries].id)
return {'ok'}
