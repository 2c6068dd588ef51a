-- Finds keys by a member of their values: with `{"city": "Oslo"}` in `user/7`, the value of
-- `index/city/Oslo` is a list with "user/7" in it.
--
--   scripts:
--     - file: scripts/hooks/index.lua
--       prefixes: [user/]
--       options: {city: index/city/, role: index/role/}     # member: prefix of the index

-- What a value is found by; nil for nothing.
local function term(value, member)
  local found = type(value) == "table" and value[member]
  if type(found) == "string" then return found end
  if type(found) == "number" or type(found) == "boolean" and found then return tostring(found) end
  return nil
end

local function without(list, key)
  local rest = kv.array {}
  for _, one in ipairs(list) do
    if one ~= key then rest[#rest + 1] = one end
  end
  return rest
end

-- Puts the key into the list, or takes it out; again, where another hook changed the list meanwhile.
local function update(id, key, is_in)
  local done, why
  repeat
    local list, meta = kv.get(id)
    local new = without(list or {}, key)
    if is_in then
      new[#new + 1] = key
      table.sort(new)
    end
    if #new ~= 0 then
      done, why = kv.set(id, new, meta and {if_revision = meta.revision} or {if_absent = true})
    elseif meta then
      done, why = kv.delete(id, {if_revision = meta.revision})
    else
      return
    end
  until why ~= "condition"
  if done == nil then kv.log("error", id, why) end
end

local function move(key, from, to)
  for member, index in pairs(kv.options) do
    local old, new = term(from, member), term(to, member)
    if old ~= new then
      if old then update(index .. old, key, false) end
      if new then update(index .. new, key, true) end
    end
  end
end

function on_set(key, value, _, previous) move(key, previous, value) end

function on_delete(key, last_value) move(key, last_value, nil) end

function on_expire(key, last_value) move(key, last_value, nil) end
