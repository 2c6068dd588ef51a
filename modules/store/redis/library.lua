#!lua name=kvserver1
-- The operations of a KvServer in Redis. Each is one atomic step: it checks the conditions, writes,
-- takes the revision, appends to the log and notifies all KvServers. Storage format 1; README.md
-- lists the keys.
--
-- The keys of a function that writes are { record, newest revision, log, deadlines, index of keys }.
-- A record is '>I8I8' revision, deadline, and the value. Deadlines are milliseconds of Redis's
-- clock; 0 is none. `now` is '' for that clock, or a test's own time.
local VERSION = 21
local INLINE = 65536 -- the longest value that is sent with its change; servers read longer ones when they need them
local HEAD = 16      -- bytes of a record before its value

local SET, DELETE, EXPIRE, DEADLINE = 1, 2, 3, 9

local function clock(now)
  local time = redis.call('TIME')
  local us = time[1] * 1000000 + time[2]
  if now == '' then return us, math.floor(us / 1000) end
  return us, tonumber(now)
end

-- Revisions follow the clock in microseconds, and never go back. `step` is the number of partitions; a partition's
-- revisions are congruent to its number modulo `step`, so no two partitions assign the same one. They are larger than
-- `after`, which may be another partition's. Returns: the new revision and the last one.
local function take_revisions(key, us, n, step, after)
  local last = tonumber(redis.call('GET', key) or 0)
  if last == 0 then error('KVGONE') end
  local first = last + step
  local least = math.max(us, after + 1)
  if least > first then first = first + math.ceil((least - first) / step) * step end
  redis.call('SET', key, string.format('%.0f', first + (n - 1) * step))
  return first, last
end

-- The record's revision and deadline, its value (up to INLINE bytes of it) and the value's length.
local function read(key)
  local record = redis.call('GETRANGE', key, 0, HEAD + INLINE - 1)
  if #record == 0 then return 0, 0, '', 0 end
  local revision, deadline = struct.unpack('>I8I8', record)
  local value = string.sub(record, HEAD + 1)
  local length = #value
  if length == INLINE then length = redis.call('STRLEN', key) - HEAD end
  return revision, deadline, value, length
end

-- change: { op, revision, its deadline, the one before it, its deadline }; see event.h.
local function pack(change, prev, token, name, value, length, before, before_length)
  local flags = 0
  if length > INLINE then flags = 1; value = '' end
  if before_length > INLINE then flags = flags + 2; before = '' end
  return struct.pack('>BBI8I8I8I8I8c16I4I4I4', change[1], flags, prev, change[2], change[3], change[4], change[5],
                     token, #name, length, before_length) .. name .. value .. before
end

-- common: { channel, length of the log, token, step of revisions, the revision that theirs have to be larger than }
local function tell(keys, common, revision, event)
  redis.call('XADD', keys[3], 'MAXLEN', '~', common[2], string.format('%.0f-1', revision), 'e', event)
  redis.call('SPUBLISH', common[1], event)
end

-- So that every KvServer is there when it ends. Not in the log: who connects asks for the next one.
local function ring(common, name, revision, deadline)
  redis.call('SPUBLISH', common[1], pack({DEADLINE, revision, deadline, 0, 0}, 0, common[3], name, '', 0, '', 0))
end

local function take_away(keys, common, op, name, us, old)
  local revision, prev = take_revisions(keys[2], us, 1, common[4], common[5])
  redis.call('DEL', keys[1])
  redis.call('ZREM', keys[5], name)
  if old.deadline ~= 0 then redis.call('ZREM', keys[4], name) end
  tell(keys, common, revision, pack({op, revision, 0, old.revision, old.deadline}, prev, common[3],
                                    name, '', 0, old.value, old.length))
  return revision
end

-- What is there; where it has expired, that is committed first.
local function meet(keys, common, name, us, ms)
  local revision, deadline, value, length = read(keys[1])
  local old = {revision = revision, deadline = deadline, value = value, length = length}
  if revision ~= 0 and deadline ~= 0 and deadline <= ms then
    take_away(keys, common, EXPIRE, name, us, old)
    return {revision = 0, deadline = 0, value = '', length = 0}
  end
  return old
end

-- cond: the bits of enum kv_cond. revisions: '>I8' each.
local function holds(cond, revisions, revision)
  if cond % 2 >= 1 and revision ~= 0 then return false end
  if cond % 4 >= 2 and revision == 0 then return false end
  if cond % 8 < 4 then return true end
  if revision == 0 then return false end
  for at = 1, #revisions, 8 do
    if struct.unpack('>I8', revisions, at) == revision then return true end
  end
  return false
end

-- wanted: the deadline that the key must have, 0 for none; or '' or nil. off: by how many milliseconds it may differ.
local function is_until(wanted, off, old)
  if not wanted or wanted == '' then return true end
  local deadline = tonumber(wanted)
  if old.revision == 0 then return false end
  if deadline == 0 or old.deadline == 0 then return deadline == old.deadline end
  return math.abs(deadline - old.deadline) <= tonumber(off)
end

local function move_deadline(keys, common, name, old, deadline)
  if deadline == old.deadline then return end
  redis.call('SETRANGE', keys[1], 8, struct.pack('>I8', deadline))
  if deadline == 0 then
    redis.call('ZREM', keys[4], name)
  else
    redis.call('ZADD', keys[4], deadline, name)
  end
  ring(common, name, old.revision, deadline)
end

local function is_same(key, old, value)
  if old.revision == 0 or old.length ~= #value then return false end
  if old.length <= INLINE then return old.value == value end
  return string.sub(redis.call('GET', key), HEAD + 1) == value
end

-- What writes have in common: argv is { now, channel, length of the log, token, where the name begins in
-- the record's key, deadline, conditions, revisions, ... }, in which `rest` is the place of { step, after, whether a key
-- that exists keeps its deadline, and the first two arguments of is_until() }; servers before version 11 do not give the
-- last three. Answers are { status, revision }.
local OK, UNCHANGED, MISSING, CONDITION = 1, 2, 3, 4

local function write(keys, argv, rest, act)
  local us, ms = clock(argv[1])
  local common = {argv[2], argv[3], argv[4], tonumber(argv[rest] or 1), tonumber(argv[rest + 1] or 0)}
  local name = string.sub(keys[1], tonumber(argv[5]))
  local old = meet(keys, common, name, us, ms)
  if not holds(tonumber(argv[7]), argv[8], old.revision) or not is_until(argv[rest + 3], argv[rest + 4], old) then
    return {CONDITION, old.revision}
  end
  local keeps_deadline = argv[rest + 2] == '1' and old.revision ~= 0
  return act(common, name, us, old, keeps_deadline and old.deadline or tonumber(argv[6]))
end

local function set(keys, argv) -- ..., value, and the rest
  return write(keys, argv, 10, function(common, name, us, old, deadline)
    local value = argv[9]
    if is_same(keys[1], old, value) then
      move_deadline(keys, common, name, old, deadline)
      return {UNCHANGED, old.revision}
    end
    local revision, prev = take_revisions(keys[2], us, 1, common[4], common[5])
    redis.call('SET', keys[1], struct.pack('>I8I8', revision, deadline) .. value)
    if old.revision == 0 then redis.call('ZADD', keys[5], 0, name) end
    if deadline ~= 0 then redis.call('ZADD', keys[4], deadline, name)
    elseif old.deadline ~= 0 then redis.call('ZREM', keys[4], name) end
    tell(keys, common, revision, pack({SET, revision, deadline, old.revision, old.deadline}, prev, common[3],
                                      name, value, #value, old.value, old.length))
    return {OK, revision}
  end)
end

local function delete(keys, argv) -- ..., and the rest
  return write(keys, argv, 9, function(common, name, us, old)
    if old.revision == 0 then return {MISSING, 0} end
    return {OK, take_away(keys, common, DELETE, name, us, old)}
  end)
end

local function touch(keys, argv) -- ..., and the rest
  return write(keys, argv, 9, function(common, name, us, old, deadline)
    if old.revision == 0 then return {MISSING, 0} end
    move_deadline(keys, common, name, old, deadline)
    return {OK, old.revision}
  end)
end

-- Where a due key has no record, that was deleted by other means than this library; or, in a cluster, it is at another
-- node until an interrupted move of the slot has been completed. Then the key is to expire once it is back. So it is
-- looked at again after a second, then after 2, 4, ... seconds, and forgotten after the last time. How often that was is
-- in the score, in eighths of a millisecond: the record has the deadline.
local MOST_MISSES = 7

local function miss(keys, common, name, ms)
  local n_misses = tonumber(redis.call('ZSCORE', keys[4], name)) % 1 * (MOST_MISSES + 1)
  if common[4] > 1 and n_misses < MOST_MISSES then
    redis.call('ZADD', keys[4], string.format('%.3f', ms + 1000 * 2 ^ n_misses + (n_misses + 1) / (MOST_MISSES + 1)), name)
  else
    redis.call('ZREM', keys[4], name)
    redis.call('ZREM', keys[5], name)
  end
end

-- argv: { now, channel, length of the log, token, most, what a record's key begins with, step, after }. Takes the keys
-- away that are due, in one entry of the log. Answers { how many, the next deadline or 0, the last revision or 0 }.
local function expire(keys, argv)
  local us, ms = clock(argv[1])
  local common = {argv[2], argv[3], argv[4], tonumber(argv[7] or 1), tonumber(argv[8] or 0)}
  local due = redis.call('ZRANGEBYSCORE', keys[4], '-inf', ms, 'LIMIT', 0, argv[5])
  local names, records, events, old, here, missing = {}, {}, {}, {}, {}, {}
  for _, name in ipairs(due) do
    local state = {read(argv[6] .. name)}
    if state[1] == 0 then
      missing[#missing + 1] = name
    else
      here[#here + 1] = name
      if state[2] ~= 0 then names[#names + 1], records[#records + 1], old[#old + 1] = name, argv[6] .. name, state end
    end
  end
  local revision, prev = 0, 0
  if #names > 0 then -- before anything is written, as it fails where the newest revision is missing
    revision, prev = take_revisions(keys[2], us, #names, common[4], common[5])
  end
  if #here > 0 then redis.call('ZREM', keys[4], unpack(here)) end
  for _, name in ipairs(missing) do miss(keys, common, name, ms) end
  if #names > 0 then
    redis.call('DEL', unpack(records))
    redis.call('ZREM', keys[5], unpack(names))
    for i, name in ipairs(names) do
      events[i] = pack({EXPIRE, revision, 0, old[i][1], old[i][2]}, prev, common[3], name, '', 0, old[i][3], old[i][4])
      prev, revision = revision, revision + common[4]
    end
    tell(keys, common, prev, table.concat(events))
  end
  local first = redis.call('ZRANGE', keys[4], 0, 0, 'WITHSCORES')
  return {#due, math.ceil(tonumber(first[2] or 0)), prev}
end

local function is_visible(record, ms)
  if #record == 0 then return false end
  local _, deadline = struct.unpack('>I8I8', record)
  return deadline == 0 or deadline > ms
end

-- keys: { record }, argv: { now, most bytes of a value or 0 }. Answers the record, or null, or the
-- length of a value that is longer.
local function get(keys, argv)
  local _, ms = clock(argv[1])
  local most = tonumber(argv[2])
  if not is_visible(redis.call('GETRANGE', keys[1], 0, HEAD - 1), ms) then return false end
  local length = redis.call('STRLEN', keys[1]) - HEAD
  if most ~= 0 and length > most then return length end
  return redis.call('GET', keys[1])
end

-- The first text behind all that begin with the prefix, as ZRANGEBYLEX takes it.
local function behind(prefix)
  local n = #prefix
  while n > 0 and string.byte(prefix, n) == 255 do n = n - 1 end
  if n == 0 then return '+' end
  return '(' .. string.sub(prefix, 1, n - 1) .. string.char(string.byte(prefix, n) + 1)
end

-- keys: { index, newest revision }, argv: { now, the beginning of a record's key, where to begin, prefix, most keys,
-- most bytes, bytes of a record that are wanted }. Answers { whether there may be more, the last name that was looked
-- at, the newest revision, and name and record by turns }. Servers before version 10 do not give the second key, and
-- get no revision.
local function scan(keys, argv)
  local _, ms = clock(argv[1])
  local names = redis.call('ZRANGEBYLEX', keys[1], argv[3], behind(argv[4]), 'LIMIT', 0, argv[5])
  local page, bytes, n = {0, ''}, 0, 0
  if keys[2] then page[3] = tonumber(redis.call('GET', keys[2]) or 0) end
  for i, name in ipairs(names) do
    local record = redis.call('GETRANGE', argv[2] .. name, 0, argv[7])
    if is_visible(record, ms) then
      page[#page + 1] = name
      page[#page + 1] = record
    end
    n, bytes = i, bytes + #name + #record
    if bytes > tonumber(argv[6]) then break end
  end
  if n > 0 then page[2] = names[n] end
  if n < #names or n == tonumber(argv[5]) then page[1] = 1 end
  return page
end

-- Of the same partition: larger than `last`, and congruent to its number modulo `step`.
local function first_revision(us, last, step, part)
  local least = math.max(us, last + step)
  return string.format('%.0f', least - least % step + part + (least % step > part and step or 0))
end

-- The last revision in the log, 0 if there is none. Not every user may ask for it.
local function last_logged(log)
  local entries = redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', 1)
  return entries[1] and tonumber(string.match(entries[1][1], '^%d+')) or 0
end

-- An entry of the log with a change that is none leads from one revision to the next. So whoever reads on behind the
-- first one (hooks and sinks) finds that nothing is missing.
local function bridge(log, from, to)
  local event = pack({DELETE, tonumber(to), 0, 0, 0}, from, string.rep('\0', 16), '', '', 0, '', 0)
  redis.call('XADD', log, to .. '-1', 'e', event)
end

-- keys as open(). Gives a partition that becomes part of another store a revision behind all that is left of it.
-- Servers before version 13 do not give the log.
local function move_on(keys, step, part)
  local last = tonumber(redis.call('GET', keys[2]) or 0)
  if keys[3] then last = math.max(last, last_logged(keys[3])) end
  local revision = first_revision(clock(''), last, step, part)
  if keys[3] and last ~= 0 then bridge(keys[3], last, revision) end
  redis.call('SET', keys[2], revision)
end

-- keys: { store, newest revision, log }, argv: { epoch for a new store, how many partitions, number of this one, the seed
-- of a new store or '', 1 if more of its partitions are to be made }. Answers the values of DESCRIPTION.
local DESCRIPTION = {'epoch', 'format', 'partitions', 'seed', 'salt', 'making'}

local function open(keys, argv)
  if redis.call('EXISTS', keys[1]) == 0 then
    local step = tonumber(argv[2] or 1)
    move_on(keys, step, tonumber(argv[3] or 0))
    redis.call('HSET', keys[1], 'format', 1, 'partitions', step, 'epoch', argv[1])
    if argv[4] and argv[4] ~= '' then
      redis.call('HSET', keys[1], 'format', 2, 'seed', argv[4], 'making', argv[5])
    end
  end
  return redis.call('HMGET', keys[1], unpack(DESCRIPTION))
end

-- keys as open(), argv: { epoch, how many partitions, number of this one, 'seed' or 'salt', and its value }. Gives what is
-- left of a partition, which may be nothing, that epoch. Servers that use it find that its revision has changed.
local function adopt(keys, argv)
  local step = tonumber(argv[2])
  local has_newest = redis.call('EXISTS', keys[2]) == 1
  if has_newest and redis.call('HGET', keys[1], 'epoch') == argv[1] then return 0 end
  move_on(keys, step, tonumber(argv[3]))
  redis.call('DEL', keys[1])
  redis.call('HSET', keys[1], 'epoch', argv[1], 'format', argv[4] and 2 or 1, 'partitions', step)
  if argv[4] then redis.call('HSET', keys[1], argv[4], argv[5]) end
  return 1
end

-- keys: { store, newest revision }, argv: by turns, the number of another partition and the key of its newest revision.
-- Answers { the clock in microseconds, newest revision or 0, epoch or '', by turns number and newest revision of those of
-- the others that are on this node, too, and VERSION as the last }. So a server learns soon that an older one has loaded
-- its library. Servers before version 14 take numbers by twos, and pass over a last one.
local function look(keys, argv)
  local us = clock('')
  local answer = {us, tonumber(redis.call('GET', keys[2]) or 0), redis.call('HGET', keys[1], 'epoch') or ''}
  for i = 1, #argv, 2 do
    local newest = redis.pcall('GET', argv[i + 1])
    if type(newest) == 'string' then
      answer[#answer + 1] = tonumber(argv[i])
      answer[#answer + 1] = tonumber(newest)
    end
  end
  answer[#answer + 1] = VERSION
  return answer
end

-- keys: { lease of the observers, newest revision }, argv: { who asks, its claim or 0, for how many milliseconds, what
-- its observers have taken, or where to begin where nobody has had the lease yet }. Answers { claim, cursor }: whoever has the claim shows the changes behind the cursor; or
-- { 0, milliseconds until the holder's time is over, cursor, holder }. Of its own claim a holder is assured even if its time was over, as
-- long as nobody else has taken the lease. The cursor cannot be beyond what there is: a failover may have lost changes.
local function lease(keys, argv)
  local _, ms = clock('')
  local state = redis.call('HMGET', keys[1], 'owner', 'until', 'claim', 'cursor')
  local newest = tonumber(redis.call('GET', keys[2]) or 0)
  if newest == 0 then error('KVGONE') end
  local claim, cursor = tonumber(state[3] or 0), tonumber(state[4] or argv[4])
  if state[1] == argv[1] and claim == tonumber(argv[2]) then
    cursor = math.max(cursor, tonumber(argv[4]))
  elseif tonumber(state[2] or 0) > ms then
    return {0, tonumber(state[2]) - ms, cursor, state[1]}
  else
    claim = claim + 1
  end
  cursor = math.min(cursor, newest)
  redis.call('HSET', keys[1], 'owner', argv[1], 'until', string.format('%.0f', ms + argv[3]),
             'claim', claim, 'cursor', string.format('%.0f', cursor))
  return {claim, cursor}
end

-- Keys that get lost while the slot of a partition is moved take nothing else with them: the newest revision and the log may
-- still be there, and agree. So a partition is compared with its own index and log.

-- Of the keys of a partition that are not records.
local N_OTHERS = 7

local function lacks_deadline(deadlines, name, head)
  local _, deadline = struct.unpack('>I8I8', head)
  return deadline ~= 0 and not redis.call('ZSCORE', deadlines, name)
end

local MOST_LOG_BYTES = 1048576

local function events_of(entry)
  local list, text, at = {}, entry[2][2], 1
  while at <= #text do
    local op, flags, _, revision, _, _, _, _, n, length, before_length, name_at = struct.unpack('>BBI8I8I8I8I8c16I4I4I4', text, at)
    list[#list + 1] = {op = op, revision = revision, name = string.sub(text, name_at, name_at + n - 1)}
    at = name_at + n + (flags % 2 == 0 and length or 0) + (flags < 2 and before_length or 0)
  end
  return list
end

local function is_as_logged(event, head)
  if event.op ~= SET then return #head == 0 end
  return #head == HEAD and struct.unpack('>I8', head) == event.revision
end

local function compare(found, keys, record, event)
  if found.seen[event.name] then return end
  found.seen[event.name] = true
  local head = redis.call('GETRANGE', record .. event.name, 0, HEAD - 1)
  found.agrees = found.agrees and is_as_logged(event, head)
  found.is_late = found.is_late or (#head == HEAD and lacks_deadline(keys[4], event.name, head))
end

-- Compares the keys with their last changes, in the last `most` entries of the log. `agrees`: the log ends with the newest
-- revision, and each key is as its last change left it. `is_late`: a key is missing among the deadlines. The entries are
-- read one at a time, as that of an expiry may have 4 MiB. An entry without a key tells a loss; the losses
-- before it have been told.
local function compare_with_log(keys, record, most)
  local found, last, n_bytes = {seen = {}, agrees = true, is_late = false}, '+', 0
  while found.agrees and most > 0 and n_bytes < MOST_LOG_BYTES do
    local entry = redis.pcall('XREVRANGE', keys[3], last, '-', 'COUNT', 1)[1]
    if not entry then break end
    if last == '+' then found.agrees = string.match(entry[1], '^%d+') == redis.call('GET', keys[2]) end
    for _, event in ipairs(events_of(entry)) do
      if event.name == '' then return found end
      compare(found, keys, record, event)
    end
    last, most, n_bytes = '(' .. entry[1], most - 1, n_bytes + #entry[2][2]
  end
  return found
end

-- A server that mends writes to the note at least so often, unless it has died or lost its connection.
local MENDING_MS = 3000

-- Answers what another server can go on with (see note_mending), and 1 if a server mends at present.
local function read_note(store)
  local note = redis.call('HMGET', store, 'mending', 'mending_ms')
  local what, _, ms = tonumber(note[1] or 0), clock('')
  local age = ms - tonumber(note[2] or 0)
  if what ~= 0 and age >= 0 and age < MENDING_MS then return 0, 1 end
  return what, 0
end

-- keys: { index, newest revision, log, deadlines, store, lease, fence, one that never exists }, argv: { slot, the beginning
-- of a record's key, how many entries of the log to look at }. Answers { how many more keys the slot has than the partition
-- needs, 1 if the log agrees with the keys, 1 if there are an index and deadlines, 1 if a deadline is missing, how many keys
-- the index has, newest revision, what can be gone on with, 1 if a server mends at present: then the log is not looked at };
-- nothing if the newest revision is lost; an error if the user may not ask. Servers of version 20 do not read the last one.
local function check(keys, argv)
  local n = redis.pcall('CLUSTER', 'COUNTKEYSINSLOT', argv[1])
  if redis.call('EXISTS', keys[2]) == 0 then return {} end
  if type(n) ~= 'number' then return n end
  local others = redis.call('EXISTS', unpack(keys, 1, N_OTHERS))
  local n_indexed = redis.call('ZCARD', keys[1])
  local unfinished, is_mended = read_note(keys[5])
  local log = compare_with_log(keys, argv[2], is_mended == 1 and 0 or tonumber(argv[3]))
  local has_sets = redis.call('EXISTS', keys[1], keys[4]) == 2
  return {n - others - n_indexed, log.agrees and 1 or 0, has_sets and 1 or 0, log.is_late and 1 or 0, n_indexed,
          tonumber(redis.call('GET', keys[2])), unfinished, is_mended}
end

-- Mending that goes page by page is noted until it has ended, so that another server can go on if one dies meanwhile: 1 is the
-- index, 2 are records that are not in it, 0 is nothing. 2 stays, as only a server that finds it there tells of records that
-- were found last. Servers before version 20 do not give the store.
local function note_mending(store, what)
  if not store or redis.call('EXISTS', store) == 0 then return end
  local _, ms = clock('')
  if what ~= 0 then what = math.max(what, tonumber(redis.call('HGET', store, 'mending') or 0)) end
  redis.call('HSET', store, 'mending', what, 'mending_ms', string.format('%.0f', ms))
end

-- The entry names one before it that nobody has seen: so subscribers of all servers start over.
local function tell_loss(keys, common)
  local after = math.max(common[5], last_logged(keys[3]))
  local unseen = take_revisions(keys[2], clock(''), 2, common[4], after)
  local revision = unseen + common[4]
  tell(keys, common, revision, pack({DELETE, revision, 0, 0, 0}, unseen, common[3], '', '', 0, '', 0))
end

local function common_of(argv)
  return {argv[1], argv[2], string.rep('\0', 16), tonumber(argv[3]), tonumber(argv[4])}
end

-- argv[8] says whether to tell a loss: '1' in any case, '0' if this page has one, '' not again.
local function tell_if_wanted(keys, common, wanted, n)
  if wanted == '1' or (wanted == '0' and n > 0) then tell_loss(keys, common) end
end

local function add_deadline(keys, common, name, head)
  local revision, deadline = struct.unpack('>I8I8', head)
  redis.call('ZADD', keys[4], deadline, name)
  ring(common, name, revision, deadline)
end

-- keys: { index, newest revision, log, deadlines, one that never exists, store }, argv: { channel, length of the log, step,
-- after, the beginning of a record's key, where to begin, most, see above }. Of the next keys of the index, removes those
-- that have no record, and adds deadlines; begun at '+', it ends the mending. Answers { where to go on or '', how many are
-- lost, how many deadlines are }. It is first asked without `mends`: that needs no right to write, and a Redis that takes no
-- writes for now goes on as it is.
local function mend(keys, argv, mends)
  local common, n_lost, n_deadlines = common_of(argv), 0, 0
  if redis.call('EXISTS', keys[2]) == 0 then error('KVGONE') end
  local names = redis.call('ZRANGEBYLEX', keys[1], argv[6], '+', 'LIMIT', 0, argv[7])
  for _, name in ipairs(names) do
    local head = redis.call('GETRANGE', argv[5] .. name, 0, HEAD - 1)
    if #head ~= HEAD then
      n_lost = n_lost + 1
      if mends then
        redis.call('ZREM', keys[1], name)
        redis.call('ZREM', keys[4], name)
      end
    elseif lacks_deadline(keys[4], name, head) then
      n_deadlines = n_deadlines + 1
      if mends then add_deadline(keys, common, name, head) end
    end
  end
  if mends then
    tell_if_wanted(keys, common, argv[8], n_lost)
    note_mending(keys[6], argv[6] == '+' and 0 or 1)
  end
  return {#names == tonumber(argv[7]) and '(' .. names[#names] or '', n_lost, n_deadlines}
end

-- The same for records that are not in the index; argv: the same, but a cursor of SCAN. Answers { the next one or '', how
-- many were not in the index, 0 }.
local function regain(keys, argv, mends)
  local common, record, n = common_of(argv), argv[5], 0
  local pattern = string.gsub(record, '[%*%?%[%]\\]', '\\%0') .. '*'
  if redis.call('EXISTS', keys[2]) == 0 then error('KVGONE') end
  local page = redis.pcall('SCAN', argv[6], 'MATCH', pattern, 'COUNT', argv[7])
  if not page[2] then return {'', 0, 0} end
  for _, key in ipairs(page[2]) do
    local head, name = redis.call('GETRANGE', key, 0, HEAD - 1), string.sub(key, #record + 1)
    if #head == HEAD and not redis.call('ZSCORE', keys[1], name) then
      n = n + 1
      if mends then
        redis.call('ZADD', keys[1], 0, name)
        if lacks_deadline(keys[4], name, head) then add_deadline(keys, common, name, head) end
      end
    end
  end
  if mends then
    tell_if_wanted(keys, common, argv[8], n)
    note_mending(keys[6], n > 0 and 2 or 1)
  end
  return {page[1] == '0' and '' or page[1], n, 0}
end

-- keys: { fence }. A write that reaches the replicas after all writes before it.
local function fence(keys)
  redis.call('SET', keys[1], string.format('%.0f', clock('')))
  return 1
end

redis.register_function('kv1_set', set)
redis.register_function{function_name = 'kv1_delete', callback = delete, flags = {'allow-oom'}}
redis.register_function('kv1_touch', touch)
redis.register_function{function_name = 'kv1_expire', callback = expire, flags = {'allow-oom'}}
redis.register_function('kv1_open', open)
redis.register_function{function_name = 'kv1_adopt', callback = adopt, flags = {'allow-oom'}}
redis.register_function{function_name = 'kv1_lease', callback = lease, flags = {'allow-oom'}}
redis.register_function{function_name = 'kv1_fence', callback = fence, flags = {'allow-oom'}}
redis.register_function{function_name = 'kv1_mend', flags = {'allow-oom'},
                        callback = function(keys, argv) return mend(keys, argv, true) end}
redis.register_function{function_name = 'kv1_mend_look', flags = {'no-writes'},
                        callback = function(keys, argv) return mend(keys, argv, false) end}
redis.register_function{function_name = 'kv1_regain', flags = {'allow-oom'},
                        callback = function(keys, argv) return regain(keys, argv, true) end}
redis.register_function{function_name = 'kv1_regain_look', flags = {'no-writes'},
                        callback = function(keys, argv) return regain(keys, argv, false) end}
redis.register_function{function_name = 'kv1_check', callback = check, flags = {'no-writes'}}
redis.register_function{function_name = 'kv1_get', callback = get, flags = {'no-writes'}}
redis.register_function{function_name = 'kv1_scan', callback = scan, flags = {'no-writes'}}
redis.register_function{function_name = 'kv1_look', callback = look, flags = {'no-writes', 'allow-cross-slot-keys'}}
redis.register_function{function_name = 'kv1_version', flags = {'no-writes'}, callback = function() return VERSION end}
