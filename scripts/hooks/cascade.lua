-- Deletes what belongs to a key when that is deleted, or expires: with `user/7` all of `user/7/…`.
--
--   scripts:
--     - file: scripts/hooks/cascade.lua
--       prefixes: [user/]
--       options: {parents: user/, under: children/}
--
-- Which keys belong to `user/7` is kept in `children/user/7`, an object with a member for each.

local parents = kv.options.parents or error("options.parents is the prefix of the parents", 0)
local under = kv.options.under or "children/"

-- Returns the parent, and whether the key is one itself.
local function parent_of(key)
  if key:sub(1, #parents) ~= parents then return nil end
  local slash = key:find("/", #parents + 1, true)
  if slash == nil then return key, true end
  return key:sub(1, slash - 1), false
end

-- Changes the value of a key; again, where another hook did so meanwhile.
local function update(key, change)
  local done, why
  repeat
    local value, meta = kv.get(key)
    local new = change(value or {})
    if new == nil then
      return
    elseif next(new) ~= nil then
      done, why = kv.set(key, new, meta and {if_revision = meta.revision} or {if_absent = true})
    elseif meta then
      done, why = kv.delete(key, {if_revision = meta.revision})
    else
      return
    end
  until why ~= "condition"
  if done == nil then kv.log("error", key, why) end
end

function on_set(key, _, _, previous)
  local parent, is_parent = parent_of(key)
  if parent == nil or is_parent or previous ~= nil then return end
  update(under .. parent, function(children)
    children[key] = true
    return children
  end)
end

local function gone(key)
  local parent, is_parent = parent_of(key)
  if parent == nil then return end
  if not is_parent then
    update(under .. parent, function(children)
      if not children[key] then return nil end
      children[key] = nil
      return children
    end)
    return
  end
  for child in pairs(kv.get(under .. parent) or {}) do kv.delete(child) end
end

function on_delete(key) gone(key) end

function on_expire(key) gone(key) end
