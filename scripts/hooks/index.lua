-- Finds keys by a member of their values: with `{"city": "Oslo"}` in `user/7`, the value of
-- `index/city/Oslo` is a list with "user/7" in it.
--
--   scripts:
--     - file: ../scripts/hooks/index.lua
--       prefixes: [user/]
--       options: {city: index/city/, role: index/role/}     # member: prefix of the index
--
-- Clients cannot write these lists. A key that was there before the script comes into its list with its
-- next change; to take in all of them at once needs a list of keys by prefix, which hooks do not have yet.

if next(kv.options) == nil then
  kv.fault("", "a member, and the prefix of its index, is expected")
end
for member, index in pairs(kv.options) do
  if index == "" then kv.fault(member, "the prefix of its index is expected") else kv.protect(index) end
end

-- What a value is found by; nil for nothing.
local function term(value, member)
  local found = type(value) == "table" and value[member]
  if type(found) == "string" then return found end
  if type(found) == "number" or type(found) == "boolean" and found then return tostring(found) end
  return nil
end

-- By list: the keys that are to come in (true), or to go (false). Who changes a list takes along what
-- other hooks of this event loop have to change in it: many keys at once are then few writes.
local waiting = {}

-- The list, which is sorted, with those changes.
local function changed(list, changes)
  local new, coming, next_one = kv.array {}, {}, 1
  for key, is_in in pairs(changes) do
    if is_in then coming[#coming + 1] = key end
  end
  table.sort(coming)
  for _, key in ipairs(list) do
    while coming[next_one] and coming[next_one] < key do
      new[#new + 1] = coming[next_one]
      next_one = next_one + 1
    end
    if changes[key] == nil then new[#new + 1] = key end
  end
  return table.move(coming, next_one, #coming, #new + 1, new)
end

-- Returns: nil and why, where it was not written: "condition", if another did so meanwhile.
local function write(id, new, meta)
  if #new ~= 0 then return kv.set(id, new, meta and {if_revision = meta.revision} or {if_absent = true}) end
  if meta then return kv.delete(id, {if_revision = meta.revision}) end
  return true
end

-- Puts the key into the list, or takes it out, and returns when that is written.
local function update(id, key, is_in)
  local changes = waiting[id] or {}
  waiting[id] = changes
  changes[key] = is_in
  repeat
    local list, meta = kv.get(id)
    if changes[key] == nil then break end
    local taken, is_read = {}, list ~= nil or meta == nil
    for one, way in pairs(changes) do taken[one] = way end
    local done, why = nil, meta
    if is_read then done, why = write(id, changed(list or {}, taken), meta) end
    if done ~= nil then
      for one, way in pairs(taken) do
        if changes[one] == way then changes[one] = nil end
      end
    elseif why ~= "condition" then
      changes[key] = nil
      kv.log("error", id, why)
    end
  until changes[key] == nil
  if next(changes) == nil and waiting[id] == changes then waiting[id] = nil end
end

-- Whether the list, which is sorted, has the key. One that cannot be read is not to be changed.
local function has(id, key)
  local list, why = kv.get(id)
  if list == nil then return why ~= nil end
  local low, high = 1, #list
  while low <= high do
    local middle = (low + high) // 2
    if list[middle] == key then return true end
    if list[middle] < key then low = middle + 1 else high = middle - 1 end
  end
  return false
end

local function move(key, from, to)
  for member, index in pairs(kv.options) do
    local old, new = term(from, member), term(to, member)
    if old and old ~= new then update(index .. old, key, false) end
    if new and (old ~= new or not has(index .. new, key)) then update(index .. new, key, true) end
  end
end

function on_set(key, value, _, previous) move(key, previous, value) end

function on_delete(key, last_value) move(key, last_value, nil) end

function on_expire(key, last_value) move(key, last_value, nil) end
