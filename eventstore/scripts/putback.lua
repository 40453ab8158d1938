-- Put archived entries back where the server lost them: at the end of a partition's log, at their
-- own positions and versions. All of them or none; every check comes before the first write.
--
-- KEYS  1 log (stream)  2 tail (string)  3 due (sorted set)  4 watch (sorted set; scores 0)
--       5 stalls (sorted set)
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
--         number of changes of timers and watches, then for each:
--           'at' | 'clear' | 'silent', member of due or stalls, ms
--           'watch', holder, members of watch, one a line | 'unwatch', holder, ''
-- REPLY {'ok'}
--       {'tail', where the log ends}
--       {'version', run id, the version of its head}
--       {'ahead', run id, the last version in its run stream}
--       {'error', message}

local log, tail_key, due, watches, stalls = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

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
redis.call('ZCARD', watches)
redis.call('ZCARD', stalls)

local place = 2
local function take()
  place = place + 1
  return ARGV[place]
end

local entries, versions = {}, {}
for i = 1, tonumber(ARGV[2]) do
  local entry = {run = KEYS[4 + 2 * i], head = KEYS[5 + 2 * i], changes = {}}
  entry.id, entry.run_id, entry.version = take(), take(), tonumber(take())
  entry.json, entry.checksum, entry.append_id = take(), take(), take()
  entry.inherits, entry.workflow, entry.ends = take() == '1', take(), take()
  for change = 1, tonumber(take()) do entry.changes[change] = {take(), take(), take()} end

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

local function clear_watch(entry, field)
  local members = redis.call('HGET', entry.head, field)
  if not members then return end
  for member in string.gmatch(members, '[^\n]+') do redis.call('ZREM', watches, member) end
  redis.call('HDEL', entry.head, field)
end

local function set_watch(entry, field, members)
  clear_watch(entry, field)
  if members == '' then return end
  for member in string.gmatch(members, '[^\n]+') do redis.call('ZADD', watches, 0, member) end
  redis.call('HSET', entry.head, field, members)
end

-- As append.lua does it.
local function index_of(member)
  local kind = string.match(member, '^%a*')
  return (kind == 'stall' or kind == 'recovery') and stalls or due
end

local function set_timer(entry, member, at)
  redis.call('ZADD', index_of(member), at, member)
  redis.call('HSET', entry.head, 't:' .. member, at)
end

local function clear_timer(entry, member)
  redis.call('ZREM', index_of(member), member)
  redis.call('HDEL', entry.head, 't:' .. member)
end

local function change_index(entry)
  local silent = redis.call('HGET', entry.head, 'x') or ''
  local stall_ms, stall = string.match(silent, '^(%d+) (.*)$')
  for _, change in ipairs(entry.changes) do
    local operation, member = change[1], change[2]
    if operation == 'watch' or operation == 'unwatch' then
      set_watch(entry, 'w:' .. member, change[3])
    elseif operation == 'silent' then
      stall_ms, stall = change[3], member
      redis.call('HSET', entry.head, 'x', change[3] .. ' ' .. member)
      if change[3] == '0' then clear_timer(entry, member) end
    elseif operation == 'clear' then
      clear_timer(entry, member)
      if member == stall then stall = nil end
    else
      set_timer(entry, member, change[3])
    end
  end
  if entry.ends == '' then
    if stall and stall_ms ~= '0' then
      set_timer(entry, stall, string.format('%.0f', split(entry.id) + tonumber(stall_ms)))
    end
    return
  end
  for _, field in ipairs(redis.call('HKEYS', entry.head)) do
    local kind = string.sub(field, 1, 2)
    if kind == 't:' then
      clear_timer(entry, string.sub(field, 3))
    elseif kind == 'w:' then
      clear_watch(entry, field)
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
  change_index(entry)
end
redis.call('SET', tail_key, entries[#entries].id)
return {'ok'}
