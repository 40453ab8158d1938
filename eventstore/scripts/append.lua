-- Append events to runs of one partition. Each append is atomic on its own and has its own
-- result. Every check of an append comes before its first write: Lua has no rollback.
--
-- KEYS  1 log (stream)  2 tail (string)  3 due (sorted set)  4 watch (sorted set; scores 0)
--       5 stalls (sorted set)
--       then for each append: run (stream), head (hash)
-- ARGV  1 number of appends, then for each append:
--         run id
--         append id
--         expected: 'any', 'none', 'exists' or the version
--         '' or letters that each ask for something, and then what each needs, in their order:
--           ?  an earlier attempt may have written this append: the version that the run stream
--              must reach back to, to tell: 1, or what follows those searched in the archive
--           k  idempotency key, digest of the content, compared when the key is known
--           i  some event carries no workflow id of its own
--           w  workflow id
--           c  (the events close the run)   d  (they delete it)
--           t  number of changes of timers and watches, then for each:
--              'after' | 'at' | 'clear' | 'silent' | 'held', member of due or stalls, ms
--              'watch', holder, members of watch, one a line | 'unwatch', holder, ''
--         number of events, then for each: JSON bytes, CRC-32 over run id, '\n', append id
--         and these bytes, in hexadecimal
-- REPLY for each append one of
--         {'ok', first version, last version, ms, n of the first, '0' written | '1' known}
--         {'version', actual version}
--         {'closed', version}
--         {'conflict', first version}
--         {'archived', first version the run stream holds}: ask the archive for the append id
--         {'error', message}
--
-- Entries: log    id <ms>-<n>     r run id, v version, e JSON, c checksum, a append id [, w]
--          run    id <version>-0  e JSON, c checksum, p <ms>-<n>, a append id [, w]
--          w is the run's workflow id, where the event itself carries none; c covers all
-- Head:    v version, s 'open' | 'closed' | 'deleted', w workflow id,
--          i:<idempotency key> '<first> <last> <ms>-<n> <digest>', t:<timer> due ms,
--          w:<holder> its members of watch,
--          x '<ms> <member>' for a run whose every event moves its stall deadline,
--          r the version at which it was last taken from a silent worker
--
-- ms is server time, never going back; n counts the log's entries without a gap.
-- Versions and n stay below 10^14, which `..` writes exactly; larger sums are written with %.0f.

local log, tail_key, due, watches, stalls = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function text(number) return string.format('%.0f', number) end

local function split(id)
  local left, right = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(left), tonumber(right)
end

-- Log and tail are written together; should either be damaged, the later one counts.
local tail_ms, tail_n = split(redis.call('GET', tail_key) or '0-0')
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if newest then
  local newest_ms, newest_n = split(newest[1])
  tail_ms, tail_n = math.max(tail_ms, newest_ms), math.max(tail_n, newest_n)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ms_number = math.max(now, tail_ms)
local ms = text(ms_number)

local function entry_at(run, version)
  local id = text(version) .. '-0'
  return redis.call('XRANGE', run, id, id)[1]
end

-- The version at which a run stream begins, if retention dropped more of it than may be.
local function begins_too_late(append, version)
  local first = redis.call('XRANGE', append.run, '-', '+', 'COUNT', 1)[1]
  local begins = first and split(first[1]) or tonumber(version) + 1
  return begins > append.reaches and begins
end

-- Of each run that was searched for an append id: the first entry of each id read so far, from
-- the end backwards. Many appends of one run, tried again together, search it once.
local searches = {}

local function first_entry_of(append)
  local search = searches[append.run] or {entries = {}, last = '+'}
  searches[append.run] = search
  while not search.is_done and (search.id == append.id or not search.entries[append.id]) do
    local page = redis.call('XREVRANGE', append.run, search.last, '-', 'COUNT', 128)
    for _, entry in ipairs(page) do
      search.id = entry[2][8]
      search.entries[search.id] = entry
    end
    search.is_done = #page < 128
    search.last = #page > 0 and '(' .. page[#page][1]
  end
  return search.entries[append.id]
end

-- The first entry of the run that an earlier attempt of this append wrote, or nil, and then the
-- version at which the run stream begins, if it may have held it before.
local function written_before(append, version)
  local expected = tonumber(append.expected) or (append.expected == 'none' and 0)
  if expected then
    local entry = entry_at(append.run, expected + 1)
    if entry then return entry[2][8] == append.id and entry or nil end
    if expected >= tonumber(version) then return nil end
    return nil, begins_too_late(append, version)
  end
  local found = first_entry_of(append)
  return found, not found and begins_too_late(append, version)
end

local function known(append, version, first, last, position)
  -- WAIT returns at once after a script that wrote nothing, so a repeat writes a marker.
  redis.call('HSET', append.head, 'v', version)
  local position_ms, position_n = split(position)
  return {'ok', first, last, text(position_ms), text(position_n), '1'}
end

local function known_by_key(append, version, remembered)
  local first, last, position, digest =
    string.match(remembered, '^(%d+) (%d+) (%d+%-%d+) (%x+)$')
  if digest ~= append.digest then return {'conflict', first} end
  return known(append, version, first, last, position)
end

local function known_by_attempt(append, version, entry)
  local first = split(entry[1])
  local last = first + append.count - 1
  local ending, beyond = entry_at(append.run, last), entry_at(append.run, last + 1)
  local is_same = ending and ending[2][8] == append.id
  if not is_same or (beyond and beyond[2][8] == append.id) then
    return {'conflict', text(first)}
  end
  return known(append, version, text(first), text(last), entry[2][6])
end

local function as_expected(expected, version)
  if expected == 'any' then return true end
  if expected == 'none' then return version == '0' end
  if expected == 'exists' then return version ~= '0' end
  return expected == version
end

-- The checksum of an entry. The client's covers JSON, run id and append id; this one adds what
-- only the script knows. The factors are odd, so that no changed digit leaves the sum as it was.
local function checksum(crc, version, n, workflow_sum)
  local sum = tonumber(crc, 16) + 65537 * version + 257 * n + ms_number + workflow_sum
  return string.format('%08x', sum % 4294967296)
end

local function sum_of(workflow)
  return tonumber(string.sub(redis.sha1hex(workflow), 1, 8), 16)
end

-- Write one event to both streams. Gives the server's refusal, or nil.
local function write(append, number, n, json, crc, workflow, workflow_sum)
  local version = text(number)  -- once: numbers are turned into words slowly
  local position, sum = ms .. '-' .. n, checksum(crc, number, n, workflow_sum)
  -- The first write may be refused (memory, disk, a key of another type), and then nothing is
  -- written yet. The server refuses none of the later ones.
  local written
  if workflow then
    written = redis.pcall('XADD', append.run, version .. '-0', 'e', json, 'c', sum,
      'p', position, 'a', append.id, 'w', workflow)
  else
    written = redis.pcall('XADD', append.run, version .. '-0', 'e', json, 'c', sum,
      'p', position, 'a', append.id)
  end
  if type(written) == 'table' and written.err then return written.err end
  if workflow then
    redis.call('XADD', log, position, 'r', append.run_id, 'v', version, 'e', json, 'c', sum,
      'a', append.id, 'w', workflow)
  else
    redis.call('XADD', log, position, 'r', append.run_id, 'v', version, 'e', json, 'c', sum,
      'a', append.id)
  end
end

local function clear_watch(append, field)
  local members = redis.call('HGET', append.head, field)
  if not members then return end
  for member in string.gmatch(members, '[^\n]+') do redis.call('ZREM', watches, member) end
  redis.call('HDEL', append.head, field)
end

local function set_watch(append, field, members, fields)
  clear_watch(append, field)
  if members == '' or append.ends then return end
  for member in string.gmatch(members, '[^\n]+') do redis.call('ZADD', watches, 0, member) end
  fields[#fields + 1] = field
  fields[#fields + 1] = members
end

-- Stalls and recoveries are looked for by others than all else that is due.
local function index_of(member)
  local kind = string.match(member, '^%a*')
  return (kind == 'stall' or kind == 'recovery') and stalls or due
end

-- Whether every timer that must still be where the caller saw it is there.
local function as_held(changes)
  for _, change in ipairs(changes) do
    if change[1] == 'held' then
      local score = redis.call('ZSCORE', index_of(change[2]), change[2])
      if not score or text(tonumber(score)) ~= change[3] then return false end
    end
  end
  return true
end

local function set_timer(member, at, fields)
  redis.call('ZADD', index_of(member), text(at), member)
  fields[#fields + 1] = 't:' .. member
  fields[#fields + 1] = text(at)
end

local function clear_timer(append, member)
  redis.call('ZREM', index_of(member), member)
  redis.call('HDEL', append.head, 't:' .. member)
end

-- A run's stall deadline moves with each of its appends, unless that says otherwise.
local function change_index(append, fields, silent)
  local stall_ms, stall = string.match(silent or '', '^(%d+) (.*)$')
  for _, change in ipairs(append.changes or {}) do
    local operation, member, at = change[1], change[2], tonumber(change[3])
    if operation == 'watch' or operation == 'unwatch' then
      set_watch(append, 'w:' .. member, change[3], fields)
    elseif operation == 'silent' then
      stall_ms, stall = change[3], member
      fields[#fields + 1] = 'x'
      fields[#fields + 1] = change[3] .. ' ' .. member
      if at == 0 then clear_timer(append, member) end
    elseif operation == 'clear' then
      clear_timer(append, member)
      if member == stall then stall = nil end
    elseif operation ~= 'held' and not append.ends then
      if operation == 'after' then at = at + ms_number end
      set_timer(member, at, fields)
      if string.find(member, '^recovery|') then
        fields[#fields + 1] = 'r'
        fields[#fields + 1] = fields[2]  -- the version
      end
    end
  end
  if stall and stall_ms ~= '0' and not append.ends then
    set_timer(stall, ms_number + tonumber(stall_ms), fields)
  end
end

local function clear_index(append)
  for _, field in ipairs(redis.call('HKEYS', append.head)) do
    local kind = string.sub(field, 1, 2)
    if kind == 't:' then
      clear_timer(append, string.sub(field, 3))
    elseif kind == 'w:' then
      clear_watch(append, field)
    end
  end
end

local function append_one(append)
  local head = append.key
    and redis.call('HMGET', append.head, 'v', 's', 'w', 'x', 'i:' .. append.key)
    or redis.call('HMGET', append.head, 'v', 's', 'w', 'x')
  local version, state, workflow, silent = head[1] or '0', head[2], head[3], head[4]

  if append.key and head[5] then return known_by_key(append, version, head[5]) end
  if append.reaches then
    local entry, begins = written_before(append, version)
    if entry then return known_by_attempt(append, version, entry) end
    if begins then return {'archived', text(begins)} end
  end
  local only_deletes = append.ends == 'deleted' and append.count == 1
  if state == 'deleted' or (state == 'closed' and not only_deletes) then
    return {'closed', version}
  end
  if not as_expected(append.expected, version) then return {'version', version} end
  if append.changes or append.ends or silent then
    redis.call('ZCARD', due)  -- fails here, before anything is written, if it is no sorted set
    redis.call('ZCARD', watches)
    redis.call('ZCARD', stalls)
    if append.changes and not as_held(append.changes) then return {'version', version} end
  end

  workflow = workflow or append.workflow
  local first, first_n = tonumber(version) + 1, tail_n + 1
  local last = first - 1
  local inherited = append.inherits and workflow
  local workflow_sum = inherited and sum_of(inherited) or 0
  for i = append.place + 1, append.place + 2 * append.count, 2 do
    local refusal = write(append, last + 1, tail_n + 1, ARGV[i], ARGV[i + 1],
      inherited, workflow_sum)
    if refusal then return {'error', refusal} end
    last, tail_n = last + 1, tail_n + 1
  end
  local search = searches[append.run]
  if search then
    local position = ms .. '-' .. text(first_n)
    search.entries[append.id] = {text(first) .. '-0', {'e', '', 'c', '', 'p', position}}
  end
  local fields = {'v', text(last), 's', append.ends or 'open'}
  if workflow and not head[3] then
    fields[5], fields[6] = 'w', workflow
  end
  if append.key then
    fields[#fields + 1] = 'i:' .. append.key
    fields[#fields + 1] = text(first) .. ' ' .. text(last) .. ' ' .. ms .. '-' .. text(first_n)
      .. ' ' .. append.digest
  end
  if append.changes or silent then change_index(append, fields, silent) end
  redis.call('HSET', append.head, unpack(fields))
  if append.ends then clear_index(append) end
  return {'ok', first, last, ms, first_n, '0'}
end

local place = 1
local function take()
  place = place + 1
  return ARGV[place]
end

local asked = {
  k = function(append) append.key, append.digest = take(), take() end,
  i = function(append) append.inherits = true end,
  w = function(append) append.workflow = take() end,
  c = function(append) append.ends = 'closed' end,
  d = function(append) append.ends = 'deleted' end,
  t = function(append)
    append.changes = {}
    for change = 1, tonumber(take()) do append.changes[change] = {take(), take(), take()} end
  end,
  ['?'] = function(append) append.reaches = tonumber(take()) end,
}

local results, old_n = {}, tail_n
for i = 1, tonumber(ARGV[1]) do
  local append = {run = KEYS[4 + 2 * i], head = KEYS[5 + 2 * i]}
  append.run_id, append.id, append.expected = take(), take(), take()
  for letter in string.gmatch(take(), '.') do asked[letter](append) end
  append.count = tonumber(take())
  append.place = place  -- the events follow
  place = place + 2 * append.count
  -- What one append runs into must not hide what became of the others.
  local done, result = pcall(append_one, append)
  if not done then result = {'error', type(result) == 'table' and result.err or result} end
  results[i] = result
end
if tail_n > old_n then redis.call('SET', tail_key, ms .. '-' .. text(tail_n)) end
return results
