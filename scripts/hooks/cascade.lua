-- When a key is deleted or expires, deletes the keys below it: for `user/7`, all of `user/7/…`.
--
--   scripts:
--     - file: ../scripts/hooks/cascade.lua
--       prefixes: [user/]
--       options: {parents: user/}
--
-- Keys written after the parent's end stay. `limits.instructions` and `limits.time` bound the number of keys
-- that one hook can delete: the defaults are enough for some ten thousand.

for name in pairs(kv.options) do
  if name ~= "parents" then kv.fault(name, "this option is unknown (there is: parents)") end
end
local parents = kv.options.parents or ""
if parents == "" then kv.fault("parents", "the prefix of the parents is expected") end

local function is_parent(key)
  return key:sub(1, #parents) == parents and not key:find("/", #parents + 1, true)
end

local function gone(key, went)
  if not is_parent(key) then return end
  for child, _, meta in kv.scan(key .. "/") do
    if meta.revision < went.revision then
      local done, why = kv.delete(child, {if_revision = meta.revision})
      if done == nil and why ~= "condition" then kv.log("error", child, why) end
    end
  end
end

function on_delete(key, _, meta) gone(key, meta) end

function on_expire(key, _, meta) gone(key, meta) end
