-- Finds keys by a member of their values: with `{"city": "Oslo"}` in `user/7`, the value of
-- `index/city/Oslo` is a list with "user/7" in it.
--
--   scripts:
--     - file: ../scripts/hooks/index.lua
--       prefixes: [user/]
--       options: {city: index/city/, role: index/role/}     # member: prefix of the index
--
-- Clients cannot write these lists. When the server has started, and after each reload (SIGHUP), the script
-- checks all keys and lists, some at a time: it adds keys that existed before the script to their lists, and
-- repairs lists after a crash.

if next(kv.options) == nil then
  kv.fault("", "a member, and the prefix of its index, is expected")
end
for member, index in pairs(kv.options) do
  if index == "" then kv.fault(member, "the prefix of its index is expected") else kv.protect(index) end
  for other, around in pairs(kv.options) do
    if other ~= member and index:sub(1, #around) == around then
      kv.fault(member, "its index is within that of " .. other)
    end
  end
end

-- The term by which a value is found; nil: none.
local function term(value, member)
  local found = type(value) == "table" and value[member]
  if type(found) == "string" then return found end
  if type(found) == "number" or type(found) == "boolean" and found then return tostring(found) end
  return nil
end

-- The index of the key in the sorted list, or its place.
local function place(list, key)
  local low, high = 1, #list + 1
  while low < high do
    local middle = (low + high) // 2
    if list[middle] < key then low = middle + 1 else high = middle end
  end
  return low
end

-- Adds these keys to the list (true), or removes them (false).
local function update(id, keys)
  local done, why = kv.update(id, function(list)
    local has_changed = false
    list = list or kv.array {}
    for key, is_in in pairs(keys) do
      local at = place(list, key)
      if (list[at] == key) ~= is_in then
        if is_in then table.insert(list, at, key) else table.remove(list, at) end
        has_changed = true
      end
    end
    if has_changed then return #list > 0 and list or kv.delete end
  end)
  if done == nil then kv.log("error", id, why) end
end

local function move(key, from, to)
  for member, index in pairs(kv.options) do
    local old, new = term(from, member), term(to, member)
    if old and old ~= new then update(index .. old, {[key] = false}) end
    if new then update(index .. new, {[key] = true}) end
  end
end

function on_set(key, value, _, previous) move(key, previous, value) end

function on_delete(key, last_value) move(key, last_value, nil) end

function on_expire(key, last_value) move(key, last_value, nil) end

-- ---- checking all keys and lists ----

local AT_ONCE = 100 -- keys read, or members of a list checked, in one step
local COLLECTED = 10000 -- keys read before they are added to their lists
local WRITTEN = 300 -- keys added to a list in one step

local members = {}
for member in pairs(kv.options) do members[#members + 1] = member end

-- Whether the key belongs to the list; nil if it cannot be read.
local function belongs(id, key, member)
  local value, why = kv.get(key)
  if value == nil and why then return nil end
  return kv.options[member] .. (term(value, member) or "") == id and term(value, member) ~= nil
end

-- Updates the list until it agrees with the values of these keys, which may change meanwhile.
local function settle(id, keys, member)
  repeat
    update(id, keys)
    local others = {}
    for key, was_in in pairs(keys) do
      local is_in = belongs(id, key, member)
      if is_in ~= nil and is_in ~= was_in then others[key] = is_in end
    end
    keys = others
  until next(keys) == nil
end

-- Reads some keys of a prefix, and records the lists that they belong to.
local function collect(progress, prefix)
  local last
  for key, value in kv.scan(prefix, {values = true, limit = AT_ONCE, after = progress.after}) do
    last = key
    progress.collected = progress.collected + 1
    for member, index in pairs(kv.options) do
      local found = term(value, member)
      if found then
        local id = index .. found
        local list = progress.lists[id] or {member = member, keys = {}}
        progress.lists[id] = list
        list.keys[#list.keys + 1] = key
      end
    end
  end
  progress.after = last
  if last == nil then progress.prefix = progress.prefix + 1 end
  progress.is_writing = last == nil or progress.collected >= COLLECTED
end

-- Adds some of the keys read to one of these lists.
local function write(progress)
  local id, list = next(progress.lists)
  local keys = {}
  for _ = 1, math.min(WRITTEN, #list.keys) do keys[table.remove(list.keys)] = true end
  settle(id, keys, list.member)
  if #list.keys == 0 then progress.lists[id] = nil end
end

-- Checks some members of a list, and removes those that do not belong to it. Returns: their number.
local function look_through(id, list, from, member)
  local strays, n = {}, 0
  for i = from, math.min(from + AT_ONCE - 1, #list) do
    if belongs(id, list[i], member) == false then
      strays[list[i]] = false
      n = n + 1
    end
  end
  if n > 0 then settle(id, strays, member) end
  return n
end

-- Checks some members of the list `at.id`, or finds the first list after `at.after`. Returns: where to
-- continue; nil at the end.
local function clean(member, at)
  local index = kv.options[member]
  if at.id then
    local list = kv.get(at.id)
    if type(list) == "table" and #list >= at.from then
      local n_gone = look_through(at.id, list, at.from, member)
      return {id = at.id, from = at.from + AT_ONCE - n_gone}
    end
    at = {after = at.id}
  end
  for id in kv.scan(index, {limit = 1, after = at.after}) do return {id = id, from = 1} end
  return nil
end

-- Does some of the work. Returns: the progress; nil when all is done.
function on_start(progress)
  progress = progress or {prefix = 1, lists = {}, collected = 0, member = 1, at = {}}
  local prefix = kv.prefixes[progress.prefix]
  local member = members[progress.member]
  if progress.is_writing and next(progress.lists) then
    write(progress)
  elseif prefix then
    if progress.is_writing then progress.collected = 0 end
    collect(progress, prefix)
  elseif member then
    progress.at = clean(member, progress.at)
    if progress.at == nil then progress.member, progress.at = progress.member + 1, {} end
  else
    return nil
  end
  return progress
end
