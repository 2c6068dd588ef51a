-- Deletes what belongs to a key when that is deleted, or expires: with `user/7` all of `user/7/…`.
--
--   scripts:
--     - file: ../scripts/hooks/cascade.lua
--       prefixes: [user/]
--       options: {parents: user/, under: children/}
--
-- Which keys belong to `user/7` is kept in `children/user/7`, an object with a member for each. Clients
-- cannot write these keys. Children that were there before the script are not in it; to find them takes
-- a list of keys by prefix, which hooks do not have yet.

for name in pairs(kv.options) do
  if name ~= "parents" and name ~= "under" then kv.fault(name, "this option is unknown (there are: parents, under)") end
end
local parents = kv.options.parents or ""
if parents == "" then kv.fault("parents", "the prefix of the parents is expected") end
local under = kv.options.under or "children/"
if under == "" or parents ~= "" and (under:sub(1, #parents) == parents or parents:sub(1, #under) == under) then
  kv.fault("under", "a prefix is expected that is not within that of the parents, nor around it")
end
kv.protect(under)

-- Returns the parent, and whether the key is one itself.
local function parent_of(key)
  if key:sub(1, #parents) ~= parents then return nil end
  local slash = key:find("/", #parents + 1, true)
  if slash == nil then return key, true end
  return key:sub(1, slash - 1), false
end

-- By parent: the children that have come (true), or gone (false), and are to be noted. Who notes some takes
-- along those of other hooks of this event loop: many children at once are then few writes.
local waiting = {}

-- Returns: nil and why, where it was not written: "condition", if another did so meanwhile.
local function write(id, children, meta)
  if next(children) ~= nil then
    return kv.set(id, children, meta and {if_revision = meta.revision} or {if_absent = true})
  end
  if meta then return kv.delete(id, {if_revision = meta.revision}) end
  return true
end

-- Notes that a child has come, or gone, and returns when that is written.
local function note(parent, child, is_there)
  local id = under .. parent
  local changes = waiting[id] or {}
  waiting[id] = changes
  changes[child] = is_there
  repeat
    local children, meta = kv.get(id)
    if changes[child] == nil then break end
    local taken, is_read = {}, children ~= nil or meta == nil
    children = children or {}
    for one, comes in pairs(changes) do
      taken[one] = comes
      children[one] = comes or nil
    end
    local done, why = nil, meta
    if is_read then done, why = write(id, children, meta) end
    if done ~= nil then
      for one, comes in pairs(taken) do
        if changes[one] == comes then changes[one] = nil end
      end
    elseif why ~= "condition" then
      changes[child] = nil
      kv.log("error", id, why)
    end
  until changes[child] == nil
  if next(changes) == nil and waiting[id] == changes then waiting[id] = nil end
end

function on_set(key, _, _, previous)
  local parent, is_parent = parent_of(key)
  if parent == nil or is_parent or previous ~= nil then return end
  note(parent, key, true)
end

local function gone(key)
  local parent, is_parent = parent_of(key)
  if parent == nil then return end
  if not is_parent then
    note(parent, key, false)
    return
  end
  local children, why = kv.get(under .. parent)
  if children == nil and why then kv.log("error", under .. parent, why) end
  for child in pairs(children or {}) do kv.delete(child) end
end

function on_delete(key) gone(key) end

function on_expire(key) gone(key) end
